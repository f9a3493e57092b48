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
import { NoAnswerError, StoreRefusedError } from './connection.errors.js';
import { HeldStatements, type HeldStatement } from './held-statements.js';
import { LIMITS } from './limits.js';
import { OwnTransaction } from './own-transaction.js';
import type { Queryable, Statement } from './queryable.js';
import type { SagazPool } from './sagaz-pool.js';
import { listen, SessionCutter, settledWithin } from './session-cutter.js';
import { isAbortedTransaction, isReadOnly, isRefused } from './sql-state.js';

/** How long a driver may take to notice that its connection was closed here, in ms. */
const NOTICED_WITHIN_MS = 1_000;

/** The tags of answers to statements that a read-only transaction would have refused. */
const WRITES: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE']);

/** The connection of a transaction. */
interface TransactionConnection extends Queryable {
  /** Opens the transaction, if that was not sent yet. */
  open(): Promise<void>;
  /**
   * Sends the statement together with the next one, which fails if this one does. Resolves with false if
   * that is not possible on this connection; then nothing was done.
   */
  hold(held: Omit<HeldStatement, 'limitMs'>): Promise<boolean>;
}

/** An open transaction on a connection of the store, or on one that the application enlisted. */
export class PgTransaction implements Transaction, Queryable {
  readonly [TRANSACTION]: string;
  readonly #client: TransactionConnection;
  readonly #afterCommit: (() => void)[] = [];
  #open = true;
  /** Whether a statement of the store has written in it. */
  #wrote = false;

  /** @param raw the client of pg behind `client` */
  constructor(
    store: string,
    client: TransactionConnection,
    readonly raw: object,
  ) {
    this[TRANSACTION] = store;
    this.#client = client;
  }

  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    this.#requireOpen();
    try {
      const result = await this.#client.query<R>({ ...statement, types: COLUMN_TYPES });
      this.#wrote ||= WRITES.has(result.command);
      return result;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** See `Transactions.open`. */
  async open(): Promise<void> {
    this.#requireOpen();
    await this.#client.open();
  }

  /**
   * Runs a statement whose result nobody needs, as the last one before COMMIT. Where it can, it is sent
   * together with COMMIT, or with another statement that is sent before that. An error of it is then the
   * error of that statement.
   */
  async queryAtCommit(statement: Statement): Promise<void> {
    this.#requireOpen();
    const held = await this.#client.hold({
      statement: { ...statement, types: COLUMN_TYPES },
      explained: (error) => this.#explained(error),
    });
    if (!held) await this.query(statement);
  }

  /** The error that says what an error of a statement of the store means for this transaction. */
  #explained(error: unknown): unknown {
    if (isAbortedTransaction(error)) return new TransactionAbortedError({ cause: error });
    // A server that has taken a write of this transaction is not read-only: the application's code has
    // made its transaction so.
    const refused = isRefused(error) || (isReadOnly(error) && !this.#wrote);
    return refused ? new StoreRefusedError(error) : error;
  }

  /** Whether it has ended, as far as the store knows: it learns of the end of its own transactions only. */
  get ended(): boolean {
    return !this.#open;
  }

  /**
   * Runs `run` after a commit by the store itself; never in an enlisted transaction. For hints only: no
   * result may depend on it.
   */
  afterCommit(run: () => void): void {
    this.#afterCommit.push(run);
  }

  #requireOpen(): void {
    if (this.#open) return;
    throw new ForeignTransactionError(this[TRANSACTION], 'a transaction that has ended');
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
  readonly #cutter: SessionCutter;

  constructor(store: string, pool: SagazPool) {
    this.#store = store;
    this.#pool = pool;
    this.#cutter = new SessionCutter(pool);
  }

  async run<T>(work: (transaction: PgTransaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      await client.ready();
    } catch (error) {
      // It gave no answer, and must not go back to the pool.
      client.release(true);
      throw error;
    }
    const own = new OwnTransaction(client, this.#cutter);
    const transaction = new PgTransaction(this.#store, own, client.raw);
    let result: T;
    try {
      result = await work(transaction);
    } catch (error) {
      transaction.close(false);
      await own.rollBack();
      throw error;
    }
    let committed = false;
    try {
      await own.commit();
      committed = true;
    } finally {
      transaction.close(committed);
    }
    return result;
  }

  /** The application's own statements on that client have no limit of Sagaz. */
  enlist(client: unknown): PgTransaction {
    const foreign = this.#asClient(client);
    const { statements, reported } = this.#pool;
    reported.watch(foreign);
    const connection: TransactionConnection = {
      query: <R extends QueryResultRow>(statement: Statement) =>
        this.#onTheirs(
          foreign,
          this.#pool.limitOf(statement.limitMs),
          statements.run<R>(foreign, statement),
          false,
        ),
      open: async () => HeldStatements.of(foreign)?.open(),
      hold: async ({ statement, explained }) => {
        const held = HeldStatements.of(foreign);
        if (held === null) return false;
        const ready = statements.ready(foreign);
        if (ready !== undefined) await this.#onTheirs(foreign, LIMITS.begin, ready, false);
        held.hold({
          statement: statements.on(foreign, statement),
          limitMs: this.#pool.limitOf(statement.limitMs),
          explained: (error) => {
            statements.failed(error);
            return explained(error);
          },
        });
        return true;
      },
    };
    return new PgTransaction(this.#store, connection, foreign);
  }

  open(transaction: Transaction): Promise<void> {
    return this.own(transaction).open();
  }

  async control<T>(
    client: unknown,
    statement: TransactionControl,
    send: () => Promise<T>,
    unanswered?: (limitMs: number) => void,
  ): Promise<T> {
    const cut = this.#cutter.cutting(client);
    // On a connection that is closed, `send` fails.
    if (cut !== undefined) await cut;
    const commits = statement === 'commit';
    const held = HeldStatements.of(client);
    const limitMs = LIMITS[statement] + (commits ? (held?.limitMs ?? 0) : 0);
    const sent =
      held === null || statement !== 'begin'
        ? send()
        : held.opening(send, (answer) => this.#onTheirs(client, LIMITS.begin, answer, false));
    try {
      return await this.#onTheirs(client, limitMs, sent, commits, unanswered);
    } catch (error) {
      if (!commits) throw error;
      const failure = held?.takeFailure() ?? null;
      if (failure !== null) throw failure.error;
      throw error instanceof NoAnswerError ? new CommitUnknownError({ cause: error }) : error;
    } finally {
      await this.#cutter.cutting(client);
    }
  }

  abandon(transaction: Transaction): void {
    const { raw, ended } = this.own(transaction);
    if (!ended) void this.#cutter.cut(raw);
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
  async #onTheirs<T>(
    client: unknown,
    limitMs: number,
    answer: Promise<T>,
    commits: boolean,
    unanswered?: (limitMs: number) => void,
  ): Promise<T> {
    const askedAt = performance.now();
    try {
      return await answeredWithin(limitMs, answer, () => {
        unanswered?.(limitMs);
        listen(client);
        abandon(client);
      });
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      this.#pool.unanswered(error, askedAt);
      await Promise.all([
        // The pool has to notice the end before the client is returned to it and given to the next
        // user.
        settledWithin(NOTICED_WITHIN_MS, answer),
        this.#cutter.end(client, limitMs, commits),
      ]);
      throw error;
    }
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
