export { PgEngineRegistry } from './pg-engine-registry.js';
