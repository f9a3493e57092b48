export { PgSagaStore } from './pg-saga-store.js';
