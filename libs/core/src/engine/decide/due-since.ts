import type { SagaDefinition, StepDefinition } from '../../saga/index.js';
import { stepTask, type TaskRef } from '../journal/index.js';
import { taskOf, type SagaState } from '../state/index.js';

/**
 * Since when a task that is started now could have been started, by the store's clock, in milliseconds: what
 * is between is the time that it waited for a permit, for its engine, or for the store.
 */
export function taskDueSince(
  state: SagaState,
  definition: SagaDefinition,
  ref: TaskRef,
  step: StepDefinition,
): number {
  const task = taskOf(state, ref);
  if (task.status === 'backoff') return task.dueAt;
  // It was given back, or is done once more.
  const since = Math.max(state.directionSince, task.attempt === 0 ? 0 : task.since);
  switch (ref.role) {
    case 'step':
      return step.dependsOn.reduce((latest, name) => Math.max(latest, doneAt(state, name)), since);
    case 'compensation':
      return undoneAt(state, definition, step.name, since);
    case 'recovery':
      return Math.max(since, taskOf(state, { ...ref, role: 'step' }).since);
  }
}

/** When a step was done, by itself or by its recovery. */
function doneAt(state: SagaState, step: string): number {
  const forward = taskOf(state, stepTask('step', step));
  if (forward.status === 'done') return forward.since;
  return taskOf(state, stepTask('recovery', step)).since;
}

/** When everything that came after a step was undone; at least `since`. */
function undoneAt(
  state: SagaState,
  { steps }: SagaDefinition,
  step: string,
  since: number,
): number {
  let latest = since;
  for (const { name, ancestors } of steps.values()) {
    if (!ancestors.has(step)) continue;
    latest = Math.max(latest, taskOf(state, stepTask('compensation', name)).since);
  }
  return latest;
}

/**
 * Since when a saga that is loaded now could have been run, by the store's clock; null: it waited for
 * nothing that has a time.
 */
export function sagaDueSince(
  state: SagaState,
  deadlineAt: number | null,
  now: number,
): number | null {
  const due: number[] = [];
  if (state.tasks.empty) due.push(state.startedAt);
  for (const [, task] of state.tasks) {
    if (task.status === 'backoff') due.push(task.dueAt);
    else if (task.status === 'waiting' && task.wait !== null) due.push(task.wait.until);
    else if (task.status === 'idle' && task.attempt > 0) due.push(task.since);
  }
  if (deadlineAt !== null) due.push(deadlineAt);
  const earliest = Math.min(...due);
  return earliest <= now ? earliest : null;
}
