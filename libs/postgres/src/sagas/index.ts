export { PgSagaStore } from './pg-saga-store.js';
export { findUnserved } from './unserved-sagas.js';
