export { PgSagaStore, type PgSagaStoreParts } from './pg-saga-store.js';
export { mailInsert, mailInsertValues } from './saga-mail.js';
