export { OutcomeWatch } from './outcome-watch.js';
export { SagaHandle, type WaitOptions } from './saga-handle.js';
export { outcomeOf, type SagaFailure, type SagaOutcome } from './saga-outcome.js';
