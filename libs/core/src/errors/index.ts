export { SagazError, isSagazError } from './sagaz-error.js';
export {
  CommitUnknownError,
  ForeignTransactionError,
  LockTimeoutError,
  TransactionAbortedError,
} from './transaction.errors.js';
