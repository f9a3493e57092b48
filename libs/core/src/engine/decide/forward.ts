import { recordMessage } from '../../errors/index.js';
import type { StepDefinition } from '../../saga/index.js';
import { stepTask } from '../journal/index.js';
import { stageOf, taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import {
  failedRecovery,
  forwardCommitted,
  halted,
  lostSteps,
  pivotInDoubt,
  satisfied,
  unresolved,
} from './progress.js';
import { startTask } from './start-task.js';
import { wakeWhenOver } from './wait-over.js';
import { windDown } from './wind-down.js';

/** Moves a saga that goes forward as far as it goes now. */
export function advance(draft: Draft): void {
  const { state, context } = draft;
  const { definition } = context;
  const steps = [...definition.steps.values()];
  const committed = forwardCommitted(state, definition);
  const stops = lostSteps(state, definition).length > 0 || (halted(state) && !committed);
  if (stops) windDown(draft, steps);
  else goOn(draft, steps);
  // Behind the point of no return a failed step is recovered if it has a recovery; also a step that was
  // given up just now.
  if (committed) for (const step of steps) recover(draft, step);
  if (state.phase !== 'forward' || draft.startPostponed || underWay(draft, committed)) return;
  // No attempt is running or due. A question that only a person can settle comes before anything is
  // undone.
  if (!askForHelp(draft) && stops) draft.add({ kind: 'compensating' });
}

function goOn(draft: Draft, steps: readonly StepDefinition[]): void {
  const { state } = draft;
  let left = false;
  for (const step of steps) {
    const ref = stepTask('step', step.name);
    if (satisfied(state, step.name)) continue;
    left = true;
    if (unresolved(state, step.name)) continue;
    if (step.dependsOn.every((name) => satisfied(state, name))) startTask(draft, ref, step);
    const task = taskOf(state, ref);
    wakeWhenOver(draft, task);
  }
  if (left) return;
  const { output } = draft.context.definition;
  draft.add({
    kind: 'saga_ended',
    status: 'completed',
    output: output === null ? undefined : resultOf(draft, output),
    reason: null,
  });
}

/** The result of a step, or that of its recovery if the step failed. */
function resultOf(draft: Draft, step: string): unknown {
  const forward = taskOf(draft.state, stepTask('step', step));
  return forward.status === 'done'
    ? forward.output
    : taskOf(draft.state, stepTask('recovery', step)).output;
}

function recover(draft: Draft, step: StepDefinition): void {
  if (step.forwardRecovery === null || !unresolved(draft.state, step.name)) return;
  const ref = stepTask('recovery', step.name);
  const task = taskOf(draft.state, ref);
  wakeWhenOver(draft, task);
  startTask(draft, ref, step);
}

/**
 * Whether an attempt of a step or recovery is running, waits for something, or will follow. With
 * `committed`, a failed step that has a recovery still gets it, at the latest when every promise of the
 * step has settled.
 */
function underWay({ state, context }: Draft, committed: boolean): boolean {
  return [...context.definition.steps.values()].some((step) => {
    if (stageOf(taskOf(state, stepTask('step', step.name))) === 'under_way') return true;
    switch (stageOf(taskOf(state, stepTask('recovery', step.name)))) {
      case 'not_begun':
        return committed && step.forwardRecovery !== null && unresolved(state, step.name);
      case 'under_way':
        return true;
      case 'succeeded':
      case 'gave_up':
        return false;
    }
  });
}

/**
 * Parks the saga if only a person can say how it goes on. That is so for a pivot in doubt, and for a
 * recovery that has given up, whatever failed beside it and whether it failed or its outcome is
 * unknown: its effect may be there, and nothing undoes the effect of a recovery.
 */
function askForHelp(draft: Draft): boolean {
  const { state, context } = draft;
  const pivot = pivotInDoubt(state, context.definition);
  if (pivot !== undefined) {
    const detail = `It is unknown whether the pivot '${pivot.name}' had its effect.`;
    draft.add({ kind: 'needs_attention', reason: 'pivot_unknown', detail });
    return true;
  }
  const gaveUp = failedRecovery(state, context.definition);
  if (gaveUp === undefined) return false;
  const { status, error } = taskOf(state, stepTask('recovery', gaveUp.name));
  const end = status === 'unknown' ? 'gave up, and may have had its effect' : 'failed';
  const detail = `The recovery of '${gaveUp.name}' ${end}: ${error === null ? 'unknown' : recordMessage(error)}`;
  draft.add({ kind: 'needs_attention', reason: 'recovery_failed', detail });
  return true;
}
