import { SagazError } from './sagaz-error.js';

/**
 * COMMIT was sent, but the database rolled back, because a statement of the transaction had failed and
 * the code had caught the error. PostgreSQL then answers COMMIT with the tag ROLLBACK and no error.
 */
export class TransactionAbortedError extends SagazError {
  readonly code = 'SAGAZ_TRANSACTION_ABORTED';

  constructor(options: { readonly cause?: unknown } = {}) {
    super(
      'The transaction was rolled back by the database although COMMIT was asked for: one of its statements had failed and the error was swallowed.',
      'Let the error through, or put the statement that may fail into a savepoint.',
      options,
    );
  }
}

/** COMMIT was sent and no answer came: it is unknown whether the transaction was committed. */
export class CommitUnknownError extends SagazError {
  readonly code = 'SAGAZ_COMMIT_UNKNOWN';

  constructor(options: { readonly cause?: unknown } = {}) {
    super(
      'The answer to COMMIT was lost; the transaction may or may not have been committed.',
      'Look whether its effects are there before anything is repeated.',
      options,
    );
  }
}

/**
 * A lock of another transaction was not released within the time limit. The statement changed nothing.
 */
export class LockTimeoutError extends SagazError {
  readonly code = 'SAGAZ_LOCK_TIMEOUT';

  constructor(
    /** The lock that was waited for. */
    readonly lock: string,
    readonly waitedMs: number,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `The lock "${lock}" was held by another transaction for longer than ${waitedMs} ms.`,
      'Try again; find out which transaction stays open for so long when it happens often.',
      options,
    );
  }
}

/** The transaction that a call was given does not belong to this store, or is no transaction. */
export class ForeignTransactionError extends SagazError {
  readonly code = 'SAGAZ_FOREIGN_TRANSACTION';

  constructor(
    readonly store: string,
    given: string,
  ) {
    super(
      `The store "${store}" was given ${given}, which is no open transaction of its own.`,
      'Pass the transaction that this very store opened or enlisted.',
    );
  }
}
