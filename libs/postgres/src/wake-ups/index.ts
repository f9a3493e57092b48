export { PgWakeUps, type PgWakeUpsOptions } from './pg-wake-ups.js';
