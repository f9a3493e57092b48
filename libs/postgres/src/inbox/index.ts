export { PgInboxStore, type PgInboxStoreParts } from './pg-inbox-store.js';
