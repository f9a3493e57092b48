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
import { LIMITS, statementLimit } from './limits.js';
import type { Queryable, Statement } from './queryable.js';
import type { PooledClient, SagazPool } from './sagaz-pool.js';
import { listen, SessionCutter, settledWithin } from './session-cutter.js';
import {
  isAbortedTransaction,
  isConnectionError,
  isReadOnly,
  isRefused,
  sqlState,
} from './sql-state.js';

/** How long a driver may take to notice that its connection was closed here, in ms. */
const NOTICED_WITHIN_MS = 1_000;

/** The tags of answers to statements that a read-only transaction would have refused. */
const WRITES: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE']);

/** An open transaction on a connection of the store, or on one that the application enlisted. */
export class PgTransaction implements Transaction, Queryable {
  readonly [TRANSACTION]: string;
  readonly #client: Queryable;
  readonly #afterCommit: (() => void)[] = [];
  #open = true;
  /** Whether a statement of the store has written in it. */
  #wrote = false;

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
      const result = await this.#client.query<R>({ ...statement, types: COLUMN_TYPES });
      this.#wrote ||= WRITES.has(result.command);
      return result;
    } catch (error) {
      if (isAbortedTransaction(error)) throw new TransactionAbortedError({ cause: error });
      // A server that has taken a write of this transaction is not read-only: the application's code has
      // made its transaction so.
      const refused = isRefused(error) || (isReadOnly(error) && !this.#wrote);
      throw refused ? new StoreRefusedError(error) : error;
    }
  }

  /** Whether it is open, as far as the store knows: it learns of the end of its own transactions only. */
  get open(): boolean {
    return this.#open;
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
  readonly #cutter: SessionCutter;

  constructor(store: string, pool: SagazPool) {
    this.#store = store;
    this.#pool = pool;
    this.#cutter = new SessionCutter(pool);
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
      await this.#rollBack(client);
      throw error;
    }
    let committed = false;
    try {
      await commit(client, this.#cutter);
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
          false,
        ),
    };
    return new PgTransaction(this.#store, queryable, foreign);
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
    try {
      return await this.#onTheirs(client, LIMITS[statement], send(), commits, unanswered);
    } catch (error) {
      if (!commits || !(error instanceof NoAnswerError)) throw error;
      throw new CommitUnknownError({ cause: error });
    } finally {
      await this.#cutter.cutting(client);
    }
  }

  abandon(transaction: Transaction): void {
    const { raw, open } = this.own(transaction);
    if (open) void this.#cutter.cut(raw);
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

  async #rollBack(client: PooledClient): Promise<void> {
    try {
      await this.#cutter.cutting(client.raw);
      await client.query({ text: 'ROLLBACK', limitMs: LIMITS.rollback });
      client.release();
    } catch {
      // Closing the connection rolls back as well. The caller gets the first error.
      client.release(true);
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

async function commit(client: PooledClient, cutter: SessionCutter): Promise<void> {
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
  const cut = cutter.cutting(client.raw);
  if (cut !== undefined) await cut;
  client.release(cut !== undefined);
  // PostgreSQL answers the COMMIT of a transaction in which a statement has failed with ROLLBACK and
  // reports no error.
  if (tag !== 'COMMIT') throw new TransactionAbortedError();
}

function isFatal(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'severity' in error && error.severity !== 'ERROR'
  );
}
