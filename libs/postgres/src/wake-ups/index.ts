export { PgWakeUps } from './pg-wake-ups.js';
