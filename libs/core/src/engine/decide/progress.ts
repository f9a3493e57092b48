import type { StepDefinition } from '../../saga/index.js';
import { stepOf, taskOf, type SagaState } from '../state/index.js';
import type { Draft } from './decision.js';

/** Whether a point of no return is passed: a pivot is done. */
export function forwardCommitted(draft: Draft): boolean {
  for (const step of draft.around.definition.steps.values()) {
    if (step.pivot && taskOf(draft.state, 'step', step.name).status === 'done') return true;
  }
  return false;
}

/** Whether what depends on the step may go on: it is done, or was recovered. */
export function satisfied(state: SagaState, step: string): boolean {
  const roles = stepOf(state, step);
  return roles.step.status === 'done' || roles.recovery.status === 'done';
}

/** Whether the step has failed, or nobody knows, and no recovery made up for it. */
export function unresolved(state: SagaState, step: string): boolean {
  const { status } = taskOf(state, 'step', step);
  return (status === 'failed' || status === 'unknown') && !satisfied(state, step);
}

/** A pivot that may have had its effect, or may still have it: it must be settled, never given up. */
export function pivotOpen(state: SagaState, step: StepDefinition): boolean {
  if (!step.pivot) return false;
  const task = taskOf(state, 'step', step.name);
  switch (task.status) {
    case 'running':
    case 'awaiting_reply':
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

/** Whether an effect of the step is there, or may be. */
export function mayHaveEffect(state: SagaState, step: string): boolean {
  const task = taskOf(state, 'step', step);
  return task.status === 'done' || task.status === 'unknown' || task.doubt;
}
