import { recordMessage } from '../../errors/index.js';
import type { StepDefinition } from '../../saga/index.js';
import { taskOf, type SagaState } from '../state/index.js';
import type { Draft } from './decision.js';
import { forwardCommitted, pivotOpen, satisfied, unresolved } from './progress.js';
import { replyDueAt } from './reply-due.js';
import { startTask } from './start-task.js';
import { windDown } from './wind-down.js';

/** Moves a saga that goes forward as far as it goes now. */
export function advance(draft: Draft): void {
  const { state, around } = draft;
  const steps = [...around.definition.steps.values()];
  const broken = steps.filter((step) => unresolved(state, step.name));
  const halted = state.failures.some((failure) => failure.kind !== 'step');
  const committed = forwardCommitted(draft);
  // Behind the point of no return a failure is made good by going forward, where there is a way.
  const lost = broken.filter((step) => !committed || step.forwardRecovery === null);
  if (lost.length === 0 && !(halted && !committed)) {
    for (const step of broken) recover(draft, step);
    goOn(draft, steps);
    if (broken.length > 0) askForHelp(draft, broken);
    return;
  }
  if (committed) for (const step of broken) recover(draft, step);
  const open = windDown(draft, steps);
  if (open || draft.starved || draft.state.phase !== 'forward') return;
  // A pivot may have been passed while the others came to rest; then the view above is the past.
  const stuck = steps.find(
    (step) => step.pivot && taskOf(state, 'step', step.name).status === 'unknown',
  );
  if (stuck !== undefined) {
    draft.add({
      kind: 'needs_attention',
      reason: 'pivot_unknown',
      detail: `Nobody can say whether the pivot '${stuck.name}' had its effect.`,
    });
    return;
  }
  draft.add({ kind: 'compensating' });
}

function goOn(draft: Draft, steps: readonly StepDefinition[]): void {
  const { state } = draft;
  let left = false;
  for (const step of steps) {
    if (satisfied(state, step.name)) continue;
    left = true;
    if (unresolved(state, step.name)) continue;
    if (step.dependsOn.every((name) => satisfied(state, name))) startTask(draft, 'step', step);
    const task = taskOf(state, 'step', step.name);
    if (task.status === 'awaiting_reply') draft.wakeBy(replyDueAt(task, draft.around));
  }
  if (left) return;
  const { output } = draft.around.definition;
  draft.add({
    kind: 'saga_ended',
    status: 'completed',
    output: output === null ? undefined : resultOf(draft, output),
    reason: null,
  });
}

/** What a step yielded; where it was recovered, what the recovery yielded. */
function resultOf(draft: Draft, step: string): unknown {
  const forward = taskOf(draft.state, 'step', step);
  return forward.status === 'done' ? forward.output : taskOf(draft.state, 'recovery', step).output;
}

function recover(draft: Draft, step: StepDefinition): void {
  if (step.forwardRecovery === null || pivotOpen(draft.state, step)) return;
  const task = taskOf(draft.state, 'recovery', step.name);
  if (task.status === 'awaiting_reply') draft.wakeBy(replyDueAt(task, draft.around));
  startTask(draft, 'recovery', step);
}

/** When a recovery has failed for good and nothing else moves any more, a person has to. */
function askForHelp(draft: Draft, broken: readonly StepDefinition[]): void {
  const { state } = draft;
  if (state.phase !== 'forward') return;
  const gaveUp = broken.find((step) => {
    const { status } = taskOf(state, 'recovery', step.name);
    return status === 'failed' || status === 'unknown';
  });
  if (gaveUp === undefined || draft.starved || underWay(state)) return;
  const error = taskOf(state, 'recovery', gaveUp.name).error;
  draft.add({
    kind: 'needs_attention',
    reason: 'recovery_failed',
    detail: `The recovery of '${gaveUp.name}' failed: ${error === null ? 'unknown' : recordMessage(error)}`,
  });
}

function underWay(state: SagaState): boolean {
  for (const roles of state.steps.values()) {
    for (const role of ['step', 'recovery'] as const) {
      const { status } = roles[role];
      if (status === 'running' || status === 'awaiting_reply' || status === 'backoff') return true;
    }
  }
  return false;
}
