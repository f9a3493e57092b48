import type { TaskState } from './saga-state.js';

/**
 * Where a task stands, as far as the rest of its saga is concerned.
 * - `not_begun`: no attempt of it was ever started.
 * - `under_way`: an attempt runs, waits for its reply, or will follow: something still comes of it.
 * - `succeeded`: it is done.
 * - `gave_up`: no further attempt follows by itself; it failed, or nobody knows.
 */
export type TaskStage = 'not_begun' | 'under_way' | 'succeeded' | 'gave_up';

/**
 * The one judgement of a task's status. Whoever asks whether something is still under way, or has come
 * to its end, asks here: a status that one of many places forgets is a saga that waits for ever.
 */
export function stageOf(task: Pick<TaskState, 'status' | 'attempt'>): TaskStage {
  switch (task.status) {
    case 'idle':
      // With an attempt behind it, it was given back, or is to be done once more.
      return task.attempt === 0 ? 'not_begun' : 'under_way';
    case 'running':
    case 'awaiting_reply':
    case 'backoff':
      return 'under_way';
    case 'done':
      return 'succeeded';
    case 'failed':
    case 'unknown':
      return 'gave_up';
  }
}
