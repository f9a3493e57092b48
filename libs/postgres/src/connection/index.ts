export { apart } from './apart.js';
export { answeredWithin } from './answered-within.js';
export { epochMs } from './column-types.js';
export { abandon, BoundedClient } from './bounded-client.js';
export {
  DatabaseUnreachableError,
  InvalidSchemaNameError,
  NoAnswerError,
  NoDatabaseError,
  StoreRefusedError,
} from './connection.errors.js';
export { beatLimit, LIMITS } from './limits.js';
export { PgTransaction, PgTransactions } from './pg-transaction.js';
export {
  connectionOptions,
  placeOf,
  refusesSettings,
  type ConnectionSettings,
  type PoolSource,
} from './pool-source.js';
export { behindPooler, unnamed } from './named-statements.js';
export { inPlainJson, inPlainText } from './plain-text.js';
export { Prepared } from './prepared.js';
export { limited, type Queryable, type Statement } from './queryable.js';
export { SagazClient } from './sagaz-client.js';
export { SagazPool, type PooledClient } from './sagaz-pool.js';
export { checkServer, UnsuitableServerError } from './server-checks.js';
export { schemaName, type SchemaName } from './schema-name.js';
export {
  isDataError,
  isForgottenStatement,
  isLockTimeout,
  isTransientError,
  sqlState,
} from './sql-state.js';
