import { SagazError, redact, valueText } from '@sagaz/core';

/** A message was to be published, or a saga started, outside of a transaction. */
export class NoTransactionError extends SagazError {
  readonly code = 'SAGAZ_NO_TRANSACTION';

  constructor(
    /** The requested action, for example `publish order.confirmed`. */
    readonly action: string,
    /** The connection that the call named; undefined: none. */
    readonly connection: string | undefined,
    detail: string,
  ) {
    super(
      `Cannot ${action}: ${detail}, so it could happen without the business data, or the data without it.`,
      'Call it inside @Transactional() or outbox.transaction(), pass { manager } of a running transaction, or { standalone: true } where nothing else is written.',
    );
  }
}

/** Several DataSources have an ambient transaction, and the call named none of them. */
export class AmbiguousTransactionError extends SagazError {
  readonly code = 'SAGAZ_AMBIGUOUS_TRANSACTION';

  constructor(
    readonly action: string,
    readonly connections: readonly string[],
  ) {
    super(
      `Cannot ${action}: transactions of several connections are open here (${connections.join(', ')}).`,
      `Name one, for example { connection: '${connections[0] ?? 'default'}' }.`,
    );
  }
}

/** A connection or a manager that Sagaz was not told about. */
export class UnknownDataSourceError extends SagazError {
  readonly code = 'SAGAZ_UNKNOWN_DATA_SOURCE';

  constructor(
    readonly given: string,
    readonly known: readonly string[],
  ) {
    super(
      `${given} belongs to no connection of Sagaz; it knows ${known.length === 0 ? 'none' : known.map((name) => `'${name}'`).join(', ')}.`,
      "List the DataSource: SagazModule.forRoot({ …, dataSources: ['default', 'billing'] }).",
    );
  }
}

/**
 * Entities recorded messages that would be lost: their transaction ends, or their rows are written,
 * without having persisted the entities themselves.
 */
export class UnsavedEntityMessagesError extends SagazError {
  readonly code = 'SAGAZ_UNSAVED_ENTITY_MESSAGES';

  constructor(
    /** The entity and type of each message. */
    readonly messages: readonly { readonly entity: string; readonly type: string }[],
    /**
     * Whether the commit or the statement was refused. Outside of a transaction there is no commit to
     * refuse.
     */
    readonly refused: 'commit' | 'statement' = 'commit',
  ) {
    super(
      `${
        refused === 'commit' ? 'The transaction was not committed' : 'The statement was not run'
      }: ${messages
        .map(
          ({ entity, type }) =>
            `${entity} recorded "${type}" and ${refused === 'commit' ? 'was never saved in it' : 'its row is written without it'}`,
        )
        .join('; ')}.`,
      'Give the entity itself to save(), insert(), upsert() or remove() of its repository, or publish through the Outbox.',
    );
  }
}

/** COMMIT, ROLLBACK, ROLLBACK TO SAVEPOINT or PREPARE TRANSACTION was sent past TypeORM. */
export class RawTransactionControlError extends SagazError {
  readonly code = 'SAGAZ_RAW_TRANSACTION_CONTROL';

  constructor(readonly connection: string) {
    super(
      `A transaction of the connection "${connection}" was ended, prepared, or rolled back to a savepoint by SQL of its own, so Sagaz cannot know which messages belong to it.`,
      'Leave COMMIT, ROLLBACK and savepoints to TypeORM: use manager.transaction() for a savepoint.',
    );
  }
}

/** PREPARE TRANSACTION was to be sent in a transaction that Sagaz takes part in. */
export class TwoPhaseCommitError extends SagazError {
  readonly code = 'SAGAZ_TWO_PHASE_COMMIT';

  constructor(readonly connection: string) {
    super(
      `A transaction of the connection "${connection}" that messages or sagas have joined was to be prepared for a two-phase commit. Prepared, it would keep the locks of their keys until somebody ends it, and whatever has these keys would wait.`,
      'Commit it as an ordinary transaction. For a change that must happen in another database as well, use a message or a saga.',
    );
  }
}

/**
 * The transaction that surrounds the code has ended, and something in it still runs because it was not
 * awaited: `Promise.all` answers at the first rejection, and the others go on.
 */
export class TransactionEndedError extends SagazError {
  readonly code = 'SAGAZ_TRANSACTION_ENDED';

  constructor(
    /** The refused action, for example `publish order.confirmed`. */
    readonly action: string,
  ) {
    super(
      `Cannot ${action}: the transaction around this code has ended, so the action would happen even if that was rolled back.`,
      'Await everything that belongs to a transaction before its function returns (Promise.allSettled instead of Promise.all); put work that is meant to run beside or after it into a method with @Transactional(Propagation.NotSupported) or RequiresNew.',
    );
  }
}

/** A query runner that was made before a transaction began was used inside it. */
export class OutsideTransactionError extends SagazError {
  readonly code = 'SAGAZ_OUTSIDE_TRANSACTION';

  constructor(readonly connection: string) {
    super(
      `A query runner of the connection "${connection}" that was made before the transaction around this code began was used inside it: its statements would stay when the transaction is rolled back.`,
      'Make the query runner inside the transaction, or use a repository: both join. For work that is meant to stay, use a method with @Transactional(Propagation.NotSupported).',
    );
  }
}

/** A transaction was to be committed while a nested one in it was still open. */
export class UnfinishedSavepointError extends SagazError {
  readonly code = 'SAGAZ_UNFINISHED_SAVEPOINT';

  constructor(readonly connection: string) {
    super(
      `A transaction of the connection "${connection}" was rolled back instead of committed: a nested transaction in it had not ended.`,
      'Await the nested transaction; one that was started with a query runner has to be committed or rolled back.',
    );
  }
}

/** How many characters of a statement an error shows. */
const STATEMENT_LENGTH = 200;

/**
 * A statement that ends a transaction or a savepoint waited too long for other statements of the same
 * transaction, because a connection carries out one statement at a time. The transaction is rolled back.
 */
export class StatementsUnderWayError extends SagazError {
  readonly code = 'SAGAZ_STATEMENTS_UNDER_WAY';
  /** The statements that were still under way, without their parameters; long ones are cut. */
  readonly statements: readonly string[];

  constructor(
    readonly connection: string,
    /** The statement that waited, for example `COMMIT`. */
    readonly ending: string,
    /** How long it waited, in milliseconds. */
    readonly waitedMs: number,
    statements: readonly string[],
  ) {
    const shown = statements.map((statement) => {
      const line = redact(statement.replace(/\s+/g, ' ').trim());
      return line.length > STATEMENT_LENGTH ? `${line.slice(0, STATEMENT_LENGTH)}…` : line;
    });
    super(
      `A transaction of the connection "${connection}" was rolled back and its connection closed: ${ending} waited ${String(waitedMs)} ms for statements of the same transaction that were still under way: ${shown.join('; ')}.`,
      'Await every statement before its transaction or savepoint ends. Look in pg_stat_activity for what the statements wait for, such as a lock; lock_timeout and statement_timeout of the DataSource end them earlier.',
    );
    this.statements = shown;
  }
}

/** A store and the DataSource whose transactions it is to share are in different databases. */
export class StoreElsewhereError extends SagazError {
  readonly code = 'SAGAZ_STORE_ELSEWHERE';

  constructor(
    readonly connection: string,
    readonly store: string,
  ) {
    super(
      `The store of the connection "${connection}" (${store}) is not in the database of its DataSource, so messages could not commit with the business data.`,
      'Leave the url of the store out, or give it and the DataSource the same database.',
    );
  }
}

/**
 * The size of the application's pool is not a number, so a wait for a free connection might never end.
 */
export class InvalidPoolSizeError extends SagazError {
  readonly code = 'SAGAZ_INVALID_POOL_SIZE';

  constructor(
    readonly connection: string,
    readonly given: unknown,
  ) {
    super(
      `The pool of the DataSource "${connection}" has the size ${valueText(given)}.`,
      'Give poolSize (or extra.max) as a whole number from 2; 10 is usual. A variable of the environment is a text: Number(process.env.POOL_SIZE).',
    );
  }
}

/** The application's pool is too small for transactional work. */
export class PoolTooSmallError extends SagazError {
  readonly code = 'SAGAZ_POOL_TOO_SMALL';

  constructor(
    readonly connection: string,
    readonly size: number,
  ) {
    super(
      `The DataSource "${connection}" has a pool of ${size}: a transactional step or handler that makes one query outside of its transaction would wait for itself for ever.`,
      'Give it a poolSize of at least 2; 10 is usual.',
    );
  }
}

/** The application is set up in such a way that repositories cannot join the ambient transaction. */
export class TransactionHostError extends SagazError {
  readonly code = 'SAGAZ_TRANSACTION_HOST';

  constructor(
    readonly connection: string,
    problem: string,
  ) {
    super(
      problem,
      `Import ClsModule.forRoot({ plugins: [new ClsPluginTransactional({ ${
        connection === 'default' ? '' : `connectionName: '${connection}', `
      }imports: [TypeOrmModule], adapter: new SagazTypeOrmAdapter(${
        connection === 'default' ? '' : `getDataSourceToken('${connection}')`
      }) })] }).`,
    );
  }
}
