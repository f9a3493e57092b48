import type { Transaction, Transactions } from '../ports/index.js';

/** One of the transactions that may be open at once, kept free until it is used or released. */
export interface TransactionPlace {
  /** Whether others had to end before the place was free. */
  readonly waited: boolean;
  release(): void;
}

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
   * `unwanted` is aborted when the transaction is not wanted any more. An implementation that queues
   * for connections should then leave the queue and reject; observing that is optional, since `work`
   * throws for a transaction that begins later. A transaction that is open has to be abandoned
   * ({@link Transactions.abandon}, which {@link abandonedWith} calls), because a statement of it may
   * hang: `work` rejects, and the rollback would wait behind that statement with its connection.
   *
   * `place` is one that {@link reserve} gave: the transaction uses it instead of waiting for another,
   * and releases it at its end.
   */
  run(
    connection: string | undefined,
    work: (manager: unknown) => Promise<void>,
    beforeCommit: (transaction: Transaction) => Promise<void>,
    unwanted?: AbortSignal,
    place?: TransactionPlace,
  ): Promise<void>;
  /**
   * Waits until one more transaction may begin, for as long as that takes, and keeps its place free.
   * Others must not be able to keep it waiting for ever. The engine uses it when steps got no connection
   * in time: it journals the start of a step only once it has a place for it. Absent: it asks for
   * connections now and then.
   */
  reserve?(unwanted: AbortSignal): Promise<TransactionPlace>;
  /**
   * Whether the error was reported by a connection that {@link run} works on, see
   * {@link Transactions.reported}: a conflict that another database told the step is the step's own
   * failure. Absent: every conflict counts as this database's.
   */
  reported?(connection: string | undefined, error: unknown): boolean;
}

/**
 * Runs a transaction and, when `unwanted` is aborted before that has ended, abandons it, so that its
 * connection is free in bounded time.
 *
 * @param run opens the transaction, passes it to `opened`, and settles when it has ended
 */
export async function abandonedWith<T>(
  transactions: Pick<Transactions, 'abandon'>,
  unwanted: AbortSignal | undefined,
  run: (opened: (transaction: Transaction) => void) => Promise<T>,
): Promise<T> {
  let open: Transaction | null = null;
  const abandon = (): void => {
    if (open !== null) transactions.abandon(open);
  };
  unwanted?.addEventListener('abort', abandon);
  try {
    return await run((transaction) => {
      open = transaction;
    });
  } finally {
    unwanted?.removeEventListener('abort', abandon);
  }
}

/** Steps in transactions of the store itself: `@TransactionManager()` gives its `Transaction`. */
export function storeTransactions(transactions: Transactions): StepTransactions {
  return {
    run: (_connection, work, beforeCommit, unwanted) =>
      abandonedWith(transactions, unwanted, (opened) =>
        transactions.run(async (transaction) => {
          opened(transaction);
          await transactions.open(transaction);
          await work(transaction);
          await beforeCommit(transaction);
        }),
      ),
    reported: (_connection, error) => transactions.reported(error),
  };
}
