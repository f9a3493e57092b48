export { OutcomeWatch } from './outcome-watch.js';
export { SagaHandle, type WaitOptions } from './saga-handle.js';
export {
  causeText,
  isSettled,
  outcomeOf,
  type SagaFailure,
  type SagaOutcome,
} from './saga-outcome.js';
