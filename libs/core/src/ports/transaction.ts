/** Marks a {@link Transaction}; its value is the name of the store it belongs to. */
export const TRANSACTION: unique symbol = Symbol.for('sagaz.transaction');

/**
 * An open transaction of a store, opaque to everyone but that store. A store refuses a transaction
 * that is not its own.
 */
export interface Transaction {
  readonly [TRANSACTION]: string;
}

/** A statement that opens a transaction or a part of it, commits one, or takes one or a part of it back. */
export type TransactionControl = 'begin' | 'commit' | 'rollback';

/** Opens transactions of a store, or recognises one that was opened by somebody else. */
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
   * Sees a client with an open transaction (for PostgreSQL: anything with pg's `query`) as a
   * transaction of this store. The caller keeps the right and the duty to end it.
   */
  enlist(client: unknown): Transaction;
  /**
   * Sends what opens or ends a transaction on a client of the application, for whoever opens its own
   * there. A connection that gives no answer in the time that this may take is closed, because one that
   * was forgotten on the way to the database never answers; `send` has ended then, or is given up.
   *
   * Rejects with whatever `send` does. Without an answer it rejects with the store's error for that, and
   * with `CommitUnknownError` where a commit was sent.
   *
   * @param client what `send` uses
   */
  control<T>(client: unknown, statement: TransactionControl, send: () => Promise<T>): Promise<T>;
  /**
   * Ends a transaction whose owner does not: its connection is closed, here and at the server, so that
   * nothing of it commits from now on and its locks are free soon. A commit that is on its way already
   * may still happen.
   */
  abandon(transaction: Transaction): void;
  /**
   * Whether the error, or what it wraps, was reported by a connection of this store or one that was
   * enlisted in it. What another database said to the application's code is not.
   */
  reported(error: unknown): boolean;
}
