export { SagazError, isSagazError } from './sagaz-error.js';
export {
  CommitUnknownError,
  ForeignTransactionError,
  LockTimeoutError,
  TransactionAbortedError,
} from './transaction.errors.js';
export { SagaRefusal, isSagaRefusal } from './saga-refusal.js';
export { NonRetryableError, isNonRetryable, markNonRetryable } from './non-retryable.error.js';
export { CAUSE_TOLD, errorRecord, type ErrorRecord } from './error-record.js';
export { asError, errorMessage, errorText, recordMessage } from './error-text.js';
export { hideFromLogs } from './hide-from-logs.js';
export { InvalidArgumentError } from './invalid-argument.error.js';
export {
  checkArguments,
  cursorArgument,
  limitArgument,
  oneOfArgument,
  proseArgument,
  requireObject,
  newSagaIdArgument,
  sagaIdArgument,
  textArgument,
  type OptionCheck,
} from './check-arguments.js';
export { plainDetails } from './plain-details.js';
export { redactedBeginning } from './redacted.js';
export { valueText } from './value-text.js';
export { bounded, wellFormed } from './well-formed.js';
export { isError, propertyOf } from './thrown-value.js';
export { isStoreRefusal, storeFailureOf, type StoreFailure } from './store-failure.js';
