export { fold } from './fold.js';
export { emptyState, forkState, stepOf, taskOf, type SagaState } from './saga-state.js';
