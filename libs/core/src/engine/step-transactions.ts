import type { Transaction, Transactions } from '../ports/index.js';

/**
 * Runs transactional steps in the application's own transactions. The engine has a default that uses
 * the store's transactions; a framework provides one for its own.
 */
export interface StepTransactions {
  /**
   * Opens a transaction on the connection (a DataSource's name; undefined: the default one), runs
   * `work` in it so that the application's repositories and outgoing messages join, writes what was
   * published to the outbox, calls `beforeCommit` as the very last thing that sends a statement, and
   * commits.
   *
   * `manager` is the value that the user's method gets for `@TransactionManager()`. An error that
   * `work` or `beforeCommit` throws rolls everything back and is thrown on unchanged. The call must not
   * resolve without proof of the commit: it rejects with `TransactionAbortedError` if the transaction
   * was rolled back in silence, and with `CommitUnknownError` if the answer was lost. `work` and
   * `beforeCommit` run at most once per call.
   *
   * `unwanted` is aborted when a transaction that has not begun is not wanted any more. An
   * implementation that queues for connections should then leave the queue and reject. Observing the
   * signal is optional, since `work` throws in that case.
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
