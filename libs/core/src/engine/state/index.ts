export { fold } from './fold.js';
export {
  emptyState,
  forkState,
  taskOf,
  type SagaState,
  type TaskState,
  type Wait,
} from './saga-state.js';
export { stageOf } from './task-stage.js';
