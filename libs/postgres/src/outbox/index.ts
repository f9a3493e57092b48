export { appendStatement, keyLocks } from './append.js';
export {
  OUTBOX_INSERT_PARAMETERS,
  outboxArrays,
  outboxInsert,
  outboxInsertValues,
} from './outbox-columns.js';
export { PgOutboxStore, type PgOutboxStoreParts } from './pg-outbox-store.js';
