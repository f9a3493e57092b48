export { fold } from './fold.js';
export {
  emptyState,
  forkState,
  stepOf,
  taskOf,
  type SagaState,
  type TaskState,
} from './saga-state.js';
export { stageOf, type TaskStage } from './task-stage.js';
