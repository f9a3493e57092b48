import type { TaskState } from './saga-state.js';

/**
 * The stage of a task, as far as it matters to the rest of its saga.
 * - `not_begun`: no attempt of it was ever started.
 * - `under_way`: an attempt is running, waits for something, or will follow.
 * - `succeeded`: it is done.
 * - `gave_up`: no further attempt follows by itself; it failed, or its outcome is unknown.
 */
export type TaskStage = 'not_begun' | 'under_way' | 'succeeded' | 'gave_up';

/**
 * Maps the status of a task to its stage. This is the only place that does so: if several places listed
 * statuses, one of them could forget one, and a saga would wait for ever.
 */
export function stageOf(task: Pick<TaskState, 'status' | 'attempt'>): TaskStage {
  switch (task.status) {
    case 'idle':
      // An idle task with an attempt behind it was given back, or is to be done once more.
      return task.attempt === 0 ? 'not_begun' : 'under_way';
    case 'running':
    case 'waiting':
    case 'backoff':
      return 'under_way';
    case 'done':
      return 'succeeded';
    case 'failed':
    case 'unknown':
      return 'gave_up';
  }
}
