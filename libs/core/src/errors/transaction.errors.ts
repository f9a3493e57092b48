import { SagazError } from './sagaz-error.js';

/**
 * COMMIT was sent, but the database rolled back: a statement of the transaction had failed and the
 * failure was swallowed. PostgreSQL then answers COMMIT with the tag ROLLBACK and no error.
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

/** COMMIT was sent and its answer never came: the transaction may or may not be there. */
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

/** A lock of another transaction did not go away in time. Nothing was changed by the statement. */
export class LockTimeoutError extends SagazError {
  readonly code = 'SAGAZ_LOCK_TIMEOUT';

  constructor(
    /** What was waited for. */
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

/** A transaction, or what was given as one, does not belong to the store it was given to. */
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
