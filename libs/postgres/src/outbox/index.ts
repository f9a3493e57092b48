export { outboxInsert, outboxInsertValues } from './outbox-columns.js';
export { PgOutboxStore } from './pg-outbox-store.js';
