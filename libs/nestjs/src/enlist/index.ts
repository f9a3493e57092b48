export {
  DEFAULT_CONNECTION,
  Connections,
  ambientTransactionFor,
  type TransactionTarget,
} from './connections.js';
export type { Connection, EnlistObserver } from './connection.js';
export { detached } from './detached.js';
export type { EnlistedTransaction } from './enlisted-transaction.js';
export {
  AmbiguousTransactionError,
  NoTransactionError,
  OutsideTransactionError,
  InvalidPoolSizeError,
  PoolTooSmallError,
  RawTransactionControlError,
  StatementsUnderWayError,
  StoreElsewhereError,
  TransactionEndedError,
  TransactionHostError,
  TwoPhaseCommitError,
  UnfinishedSavepointError,
  UnknownDataSourceError,
  UnsavedEntityMessagesError,
} from './errors.js';
export { nextOrdinal, noteRecordedHere, record } from './recorded-messages.js';
export { RequestContextInterceptor, inContextOfItsOwn } from './request-context.js';
export { SagazTypeOrmAdapter, type SagazTransactionOptions } from './sagaz-typeorm.adapter.js';
export { StoreConnection } from './store-connection.js';
export { TypeOrmConnection, type TypeOrmTransactionHost } from './typeorm-connection.js';
export { poolOf } from './typeorm-access.js';
