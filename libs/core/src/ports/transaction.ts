/** Marks a {@link Transaction}; its value is the name of the store it belongs to. */
export const TRANSACTION: unique symbol = Symbol.for('sagaz.transaction');

/**
 * An open transaction of a store, opaque to everyone but that store. A store refuses a transaction
 * that is not its own.
 */
export interface Transaction {
  readonly [TRANSACTION]: string;
}

/**
 * A use of a connection that opens or ends a transaction.
 *
 * - `begin`: a statement that opens a transaction or a savepoint, or releases a savepoint.
 * - `settle`: the wait for statements under way, before a statement that must follow them.
 * - `commit`, `rollback`: a statement that commits a transaction, or takes it or a part of it back.
 */
export type TransactionControl = 'begin' | 'settle' | 'commit' | 'rollback';

/** Opens transactions of a store, or makes use of one that the application has opened. */
export interface Transactions {
  /**
   * Runs `work` in a READ COMMITTED transaction on a connection of the store's own pool and commits.
   *
   * The commit is proven: a transaction that the database silently rolled back, because a failed
   * statement was swallowed, rejects with `TransactionAbortedError`. When the answer to COMMIT was
   * lost the promise rejects with `CommitUnknownError`: the caller must look, not repeat.
   */
  run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * Makes a transaction of this store from a client with an open transaction (for PostgreSQL: any
   * object with pg's `query`). The caller remains responsible for ending it.
   */
  enlist(client: unknown): Transaction;
  /**
   * Opens the transaction at the database, which a store may otherwise do with its first statement. For
   * work that must not begin on a connection which is lost.
   */
  open(transaction: Transaction): Promise<void>;
  /**
   * Sends a statement that opens or ends a transaction on a client of the application, with the store's
   * time limit. A connection that gives no answer in time is closed, because one that a firewall has
   * forgotten never answers; `send` has ended then, or is abandoned. The statement that opens a
   * transaction may be answered at once and sent with the first one in it, which then has the error and
   * the time limit of both.
   *
   * Rejects with the error of `send`. Without an answer it rejects with the store's error for that, and
   * with `CommitUnknownError` if a commit was sent.
   *
   * @param client the client that `send` uses
   * @param unanswered called with the time limit in ms, before a connection without an answer is closed,
   * so that the reason is known when its statements fail
   */
  control<T>(
    client: unknown,
    statement: TransactionControl,
    send: () => Promise<T>,
    unanswered?: (limitMs: number) => void,
  ): Promise<T>;
  /**
   * Ends a transaction whose owner does not: its connection is closed, here and at the server, so that
   * nothing of it commits from now on and its locks are free soon. A commit that is on its way already
   * may still happen.
   */
  abandon(transaction: Transaction): void;
  /**
   * Whether the error, or what it wraps, was reported by a connection of this store or one that was
   * enlisted in it. An error that another database reported to the application's code is not.
   */
  reported(error: unknown): boolean;
}
