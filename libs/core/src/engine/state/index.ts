export { fold } from './fold.js';
export {
  emptyState,
  forkState,
  setTask,
  stepOf,
  taskOf,
  type Phase,
  type SagaState,
  type StepState,
  type TaskState,
  type TaskStatus,
} from './saga-state.js';
