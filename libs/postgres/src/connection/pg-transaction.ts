import { EventEmitter } from 'node:events';
import {
  CommitUnknownError,
  ForeignTransactionError,
  TRANSACTION,
  TransactionAbortedError,
  type Transaction,
  type TransactionControl,
  type Transactions,
} from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { answeredWithin } from './answered-within.js';
import { abandon } from './bounded-client.js';
import { COLUMN_TYPES } from './column-types.js';
import { NoAnswerError, StoreForbiddenError } from './connection.errors.js';
import { LIMITS, statementLimit } from './limits.js';
import type { Queryable, Statement } from './queryable.js';
import type { PooledClient, SagazPool } from './sagaz-pool.js';
import { isAbortedTransaction, isConnectionError, isForbidden, sqlState } from './sql-state.js';

/** How long the server may take to terminate a session before its connection is only closed, in ms. */
const TERMINATE_WITHIN_MS = 2_000;
/** How long a driver may take to notice that its connection was closed here, in ms. */
const NOTICED_WITHIN_MS = 1_000;

/** An open transaction on a connection of the store, or on one that the application enlisted. */
export class PgTransaction implements Transaction, Queryable {
  readonly [TRANSACTION]: string;
  readonly #client: Queryable;
  readonly #afterCommit: (() => void)[] = [];
  #open = true;

  /** @param raw the client of pg behind `client` */
  constructor(
    store: string,
    client: Queryable,
    readonly raw: object,
  ) {
    this[TRANSACTION] = store;
    this.#client = client;
  }

  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    if (!this.#open) {
      throw new ForeignTransactionError(this[TRANSACTION], 'a transaction that has ended');
    }
    try {
      return await this.#client.query<R>({ ...statement, types: COLUMN_TYPES });
    } catch (error) {
      if (isAbortedTransaction(error)) throw new TransactionAbortedError({ cause: error });
      throw isForbidden(error) ? new StoreForbiddenError(error) : error;
    }
  }

  /**
   * Runs `run` after a commit by the store itself; never in an enlisted transaction. For hints only: no
   * result may depend on it.
   */
  afterCommit(run: () => void): void {
    this.#afterCommit.push(run);
  }

  /** Refuses later statements, and runs the callbacks that waited for the commit. */
  close(committed: boolean): void {
    this.#open = false;
    if (committed) for (const run of this.#afterCommit) run();
  }
}

/** Opens transactions on the pool of one store, and recognises those of others. */
export class PgTransactions implements Transactions {
  readonly #store: string;
  readonly #pool: SagazPool;

  constructor(store: string, pool: SagazPool) {
    this.#store = store;
    this.#pool = pool;
  }

  async run<T>(work: (transaction: PgTransaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    const transaction = new PgTransaction(this.#store, client, client.raw);
    let result: T;
    try {
      // The isolation level is stated, because a role or a database may have another default. Under
      // REPEATABLE READ, the second statement of an idempotent insert would not see the row that the
      // first one waited for.
      await client.query({
        text: 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
        limitMs: LIMITS.begin,
      });
      result = await work(transaction);
    } catch (error) {
      transaction.close(false);
      await rollBack(client);
      throw error;
    }
    let committed = false;
    try {
      await commit(client);
      committed = true;
    } finally {
      transaction.close(committed);
    }
    return result;
  }

  /** The application's own statements on that client have no limit of Sagaz. */
  enlist(client: unknown): PgTransaction {
    const foreign = this.#asClient(client);
    const { statements, statementTimeoutMs, reported } = this.#pool;
    reported.watch(foreign);
    const queryable: Queryable = {
      query: <R extends QueryResultRow>(statement: Statement) =>
        this.#onTheirs(
          foreign,
          statement.limitMs ?? statementLimit(statementTimeoutMs),
          statements.run<R>(foreign, statement),
        ),
    };
    return new PgTransaction(this.#store, queryable, foreign);
  }

  async control<T>(
    client: unknown,
    statement: TransactionControl,
    send: () => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#onTheirs(client, LIMITS[statement], send());
    } catch (error) {
      if (statement !== 'commit' || !(error instanceof NoAnswerError)) throw error;
      throw new CommitUnknownError({ cause: error });
    }
  }

  /**
   * The server is asked first to terminate the session, while its process number is certain, because
   * closing a client does not end a statement that waits for a lock. Then the socket is closed, also if
   * the server does not answer or refuses.
   */
  abandon(transaction: Transaction): void {
    const { raw } = this.own(transaction);
    // A client taken from the application's pool may have no listener, and an `error` event without a
    // listener ends the process.
    if (raw instanceof EventEmitter) raw.on('error', () => undefined);
    const pid: unknown = Reflect.get(raw, 'processID');
    const cut = (): void => abandon(raw);
    if (typeof pid !== 'number') {
      cut();
      return;
    }
    const timer = setTimeout(cut, TERMINATE_WITHIN_MS);
    this.#pool
      .query({ text: 'SELECT pg_terminate_backend($1)', values: [pid] })
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        cut();
      });
  }

  reported(error: unknown): boolean {
    return this.#pool.reported.has(error);
  }

  /**
   * Returns the transaction as one of this store. Throws `ForeignTransactionError` if it is of another
   * one.
   */
  own(transaction: Transaction): PgTransaction {
    if (transaction instanceof PgTransaction && transaction[TRANSACTION] === this.#store) {
      return transaction;
    }
    throw new ForeignTransactionError(this.#store, 'a transaction of something else');
  }

  /** Waits for the answer to a statement that was sent on a client of the application. */
  async #onTheirs<T>(client: unknown, limitMs: number, answer: Promise<T>): Promise<T> {
    const askedAt = performance.now();
    try {
      return await answeredWithin(limitMs, answer, () => {
        // A client may have no listener between its transaction and its return to the pool.
        if (client instanceof EventEmitter) client.on('error', () => undefined);
        abandon(client);
      });
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      this.#pool.unanswered(error, askedAt);
      await Promise.all([
        // The pool has to notice the end before the client is returned to it and given to the next
        // user.
        settledWithin(NOTICED_WITHIN_MS, answer),
        settledWithin(TERMINATE_WITHIN_MS, this.#endIdle(client)),
      ]);
      throw error;
    }
  }

  /**
   * Asks the server to end the session if it is idle in a transaction. The server may not notice the
   * closed connection for hours, and the transaction would hold the locks that the next attempt needs.
   * A session that is still working is left alone, because it may be working on a COMMIT.
   */
  async #endIdle(client: unknown): Promise<void> {
    const pid: unknown =
      typeof client === 'object' && client !== null ? Reflect.get(client, 'processID') : undefined;
    if (typeof pid !== 'number') return;
    await this.#pool.query({
      text: `SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity
        WHERE pid = $1 AND datname = current_database() AND state LIKE 'idle in transaction%'`,
      values: [pid, TERMINATE_WITHIN_MS],
      limitMs: TERMINATE_WITHIN_MS,
    });
  }

  #asClient(client: unknown): Queryable {
    if (!isQueryable(client)) {
      throw new ForeignTransactionError(
        this.#store,
        `a ${client === null ? 'null' : typeof client} without pg's query()`,
      );
    }
    // Pools and query runners also have a query(), but it does not run in one transaction of one
    // client.
    if ('totalCount' in client) throw new ForeignTransactionError(this.#store, 'a pool');
    if ('queryRunner' in client || 'isTransactionActive' in client) {
      throw new ForeignTransactionError(
        this.#store,
        'an object of an ORM instead of its pg client',
      );
    }
    const status = tellsStatus(client) ? client.getTransactionStatus() : undefined;
    if (status === 'I') {
      throw new ForeignTransactionError(this.#store, 'a client with no open transaction');
    }
    if (status === 'E') throw new TransactionAbortedError();
    return client;
  }
}

function isQueryable(value: unknown): value is Queryable {
  return (
    typeof value === 'object' &&
    value !== null &&
    'query' in value &&
    typeof value.query === 'function'
  );
}

/** Whether the client, a newer one of pg, knows the status of its transaction. */
function tellsStatus(client: object): client is { getTransactionStatus(): unknown } {
  return 'getTransactionStatus' in client && typeof client.getTransactionStatus === 'function';
}

/** Waits until the promise has settled, or the time is over. */
async function settledWithin(withinMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, withinMs)));
  await Promise.race([promise.catch(() => undefined), late]);
  clearTimeout(timer);
}

async function rollBack(client: PooledClient): Promise<void> {
  try {
    await client.query({ text: 'ROLLBACK', limitMs: LIMITS.rollback });
    client.release();
  } catch {
    // Closing the connection rolls back as well. The caller gets the first error.
    client.release(true);
  }
}

async function commit(client: PooledClient): Promise<void> {
  let tag: string;
  try {
    const { command } = await client.query({ text: 'COMMIT', limitMs: LIMITS.commit });
    tag = command;
  } catch (error) {
    // An ERROR in answer to COMMIT (a deferred constraint, a serialization failure) means that the
    // transaction was rolled back. If the connection ends instead, the outcome is unknown.
    const answered = sqlState(error) !== undefined && !isConnectionError(error) && !isFatal(error);
    client.release(!answered);
    throw answered ? error : new CommitUnknownError({ cause: error });
  }
  client.release();
  // PostgreSQL answers the COMMIT of a transaction in which a statement has failed with ROLLBACK and
  // reports no error.
  if (tag !== 'COMMIT') throw new TransactionAbortedError();
}

function isFatal(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'severity' in error && error.severity !== 'ERROR'
  );
}
