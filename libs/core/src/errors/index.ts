export { SagazError, isSagazError } from './sagaz-error.js';
export {
  CommitUnknownError,
  ForeignTransactionError,
  LockTimeoutError,
  TransactionAbortedError,
} from './transaction.errors.js';
export { SagaRefusal, isSagaRefusal } from './saga-refusal.js';
export { NonRetryableError, isNonRetryable, markNonRetryable } from './non-retryable.error.js';
