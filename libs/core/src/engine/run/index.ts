export { Alarms } from './alarms.js';
export type { Attempt } from './attempt.js';
export { Attempts } from './attempts.js';
export type { ClosedBecause, Inside } from './inside.js';
export { Places } from './places.js';
export { SagaRun, type Pending } from './saga-run.js';
