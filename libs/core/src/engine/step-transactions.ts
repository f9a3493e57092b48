import type { Transaction, Transactions } from '../ports/index.js';

/**
 * How a transactional step joins the application's own transactions. The engine brings a default
 * over the store's transactions; a framework brings one over its own.
 */
export interface StepTransactions {
  /**
   * Opens a transaction on the connection (a DataSource's name; undefined: the default one), runs
   * `work` in it so that the application's repositories and outgoing messages join, writes what was
   * published to the outbox, calls `beforeCommit` as the very last thing that sends a statement, and
   * commits.
   *
   * `manager` is what the user's method gets for `@TransactionManager()`. Whatever `work` or
   * `beforeCommit` throws rolls everything back and is thrown on unchanged. Must not resolve without
   * proof of the commit: one that was rolled back in silence rejects with `TransactionAbortedError`,
   * a lost answer with `CommitUnknownError`. `work` and `beforeCommit` run at most once per call.
   *
   * `unwanted` is aborted when nobody wants the transaction any more that has not begun: whoever
   * queues for connections takes it out of the queue and rejects. Looking at it is optional, since `work`
   * then throws.
   */
  run(
    connection: string | undefined,
    work: (manager: unknown) => Promise<void>,
    beforeCommit: (transaction: Transaction) => Promise<void>,
    unwanted?: AbortSignal,
  ): Promise<void>;
  /**
   * Whether the error was reported by a connection that {@link run} works on, see
   * {@link Transactions.reported}: a conflict that another database told the step is the step's own
   * failure. Absent: every conflict counts as this database's.
   */
  reported?(connection: string | undefined, error: unknown): boolean;
}

/** Steps in transactions of the store itself: `@TransactionManager()` gives its `Transaction`. */
export function storeTransactions(transactions: Transactions): StepTransactions {
  return {
    run: (_connection, work, beforeCommit) =>
      transactions.run(async (transaction) => {
        await work(transaction);
        await beforeCommit(transaction);
      }),
    reported: (_connection, error) => transactions.reported(error),
  };
}
