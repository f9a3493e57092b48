import type { SagaDefinition, StepDefinition } from '../../saga/index.js';
import { stepTask } from '../journal/index.js';
import { stageOf, taskOf, type SagaState } from '../state/index.js';

/** Whether a point of no return is passed: a pivot is done. */
export function forwardCommitted(state: SagaState, definition: SagaDefinition): boolean {
  for (const step of definition.steps.values()) {
    if (step.pivot && stageOf(taskOf(state, stepTask('step', step.name))) === 'succeeded')
      return true;
  }
  return false;
}

/** Whether the steps that depend on this step may go on: it is done, or was recovered. */
export function satisfied(state: SagaState, step: string): boolean {
  return (
    stageOf(taskOf(state, stepTask('step', step))) === 'succeeded' ||
    stageOf(taskOf(state, stepTask('recovery', step))) === 'succeeded'
  );
}

/** Whether the step has failed or its outcome is unknown, and no recovery made up for it. */
export function unresolved(state: SagaState, step: string): boolean {
  return stageOf(taskOf(state, stepTask('step', step))) === 'gave_up' && !satisfied(state, step);
}

/** Finds the unresolved steps that cannot be recovered, so that the saga cannot complete any more. */
export function lostSteps(state: SagaState, definition: SagaDefinition): readonly StepDefinition[] {
  const committed = forwardCommitted(state, definition);
  return [...definition.steps.values()].filter(
    (step) => unresolved(state, step.name) && (!committed || step.forwardRecovery === null),
  );
}

/** The first unresolved step whose recovery has given up; undefined: none. */
export function failedRecovery(
  state: SagaState,
  definition: SagaDefinition,
): StepDefinition | undefined {
  return [...definition.steps.values()].find(
    ({ name }) =>
      unresolved(state, name) && stageOf(taskOf(state, stepTask('recovery', name))) === 'gave_up',
  );
}

/** The first pivot of which it is unknown whether it had its effect; undefined: none. */
export function pivotInDoubt(
  state: SagaState,
  definition: SagaDefinition,
): StepDefinition | undefined {
  return [...definition.steps.values()].find(
    ({ name, pivot }) =>
      pivot &&
      unresolved(state, name) &&
      taskOf(state, stepTask('step', name)).status === 'unknown',
  );
}

/** Whether the saga was told to stop: it was cancelled, or its deadline is over. */
export function halted(state: SagaState): boolean {
  return state.failures.some(({ kind }) => {
    switch (kind) {
      case 'cancelled':
      case 'deadline':
        return true;
      case 'step':
        return false;
    }
  });
}

/**
 * Why neither a cancel nor the deadline changes how the saga goes on. Null: they do, since the saga
 * goes forward, or waits for the siblings of a step that failed.
 */
export function whyNotHalted(state: SagaState, definition: SagaDefinition): string | null {
  switch (state.phase) {
    case 'ended':
      return 'the saga has ended';
    case 'attention':
      return 'it needs a person, who can retry or terminate it';
    case 'undoing':
      return 'it undoes what it did already; each attempt of that has a time limit';
    case 'forward':
      break;
  }
  if (halted(state)) return 'it was stopped before, and comes to rest';
  const lost = lostSteps(state, definition).length > 0;
  return forwardCommitted(state, definition) && !lost ? 'its point of no return is passed' : null;
}

/**
 * Whether the step is a pivot that may have had its effect or may still have it, so that the saga must
 * wait for its outcome and never give it up.
 */
export function pivotOpen(state: SagaState, step: StepDefinition): boolean {
  if (!step.pivot) return false;
  const task = taskOf(state, stepTask('step', step.name));
  switch (task.status) {
    case 'running':
    case 'waiting':
      return true;
    case 'idle':
    case 'backoff':
      return task.doubt;
    case 'done':
    case 'failed':
    case 'unknown':
      return false;
  }
}

/** Whether the step has had its effect, or may have had it. */
export function mayHaveEffect(state: SagaState, step: string): boolean {
  const task = taskOf(state, stepTask('step', step));
  switch (task.status) {
    case 'done':
    case 'unknown':
      return true;
    case 'idle':
    case 'running':
    case 'waiting':
    case 'backoff':
    case 'failed':
      return task.doubt;
  }
}
