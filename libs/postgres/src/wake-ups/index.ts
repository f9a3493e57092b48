export { HintBatch } from './hint-batch.js';
export { PgWakeUps } from './pg-wake-ups.js';
