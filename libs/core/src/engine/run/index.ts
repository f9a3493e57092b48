export { Timers } from './timers.js';
export type { Attempt } from './attempt.js';
export { Attempts } from './attempts.js';
export type { ClosedBecause, EngineContext } from './engine-context.js';
export { ConnectionShortage } from './connection-shortage.js';
export { ConcurrencyPermits } from './concurrency-permits.js';
export type { PendingTransition } from './pending-transition.js';
export { SagaRun } from './saga-run.js';
export { StepRefusals } from './step-refusals.js';
