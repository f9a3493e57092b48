export { Alarms } from './alarms.js';
export type { Attempt } from './attempt.js';
export { Attempts } from './attempts.js';
export type { ClosedBecause, Inside } from './inside.js';
export { ConnectionShortage } from './connection-shortage.js';
export { Places } from './places.js';
export type { Pending } from './pending.js';
export { SagaRun } from './saga-run.js';
