export { PgInboxStore } from './pg-inbox-store.js';
