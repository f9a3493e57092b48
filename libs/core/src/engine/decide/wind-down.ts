import type { StepDefinition } from '../../saga/index.js';
import type { ErrorRecord } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import { pivotOpen } from './progress.js';
import { replyDueAt } from './reply-due.js';
import { startTask } from './start-task.js';

const GIVEN_UP: ErrorRecord = {
  name: 'GivenUp',
  message: 'It was given up because the saga failed elsewhere.',
};

/**
 * Brings the siblings of a failed step to rest, as the failure strategy says. Nothing new begins.
 * Returns whether something is still under way.
 */
export function windDown(draft: Draft, steps: readonly StepDefinition[]): boolean {
  const { state, around } = draft;
  const { failureStrategy, graceMs } = around.definition;
  const halted = state.failures.some((failure) => failure.kind !== 'step');
  const graceOver = around.now >= state.failingSince + graceMs;
  // A cancelled or late saga waits for nobody, whatever its strategy says about failing siblings.
  const patient =
    !halted &&
    (failureStrategy === 'wait-all' || (failureStrategy === 'fail-fast-with-grace' && !graceOver));
  let open = false;
  for (const step of steps) {
    const under = restOne(draft, step, patient);
    open = open || under;
    if (under && patient && failureStrategy === 'fail-fast-with-grace') {
      draft.wakeBy(state.failingSince + graceMs);
    }
    const recovery = taskOf(state, 'recovery', step.name).status;
    if (recovery !== 'idle' && recovery !== 'done' && recovery !== 'failed') open = true;
  }
  return open;
}

/** Whether the step is still under way afterwards. */
function restOne(draft: Draft, step: StepDefinition, patient: boolean): boolean {
  const { state, around } = draft;
  const { name } = step;
  const task = taskOf(state, 'step', name);
  const wait = patient || pivotOpen(state, step);
  switch (task.status) {
    case 'idle':
      // Given back while it ran: it was under way, unlike a step that never began.
      if (task.attempt === 0) return false;
      if (wait) {
        startTask(draft, 'step', step);
        return true;
      }
      giveUp(draft, name);
      return false;
    case 'backoff':
      if (wait) {
        startTask(draft, 'step', step);
        return true;
      }
      // Its promise may be unsettled although it was timed out: what it does is late then.
      giveUp(draft, name);
      return false;
    case 'running':
      if (!wait && around.unsettled('step', name)) draft.aborts.push({ role: 'step', step: name });
      return true;
    case 'awaiting_reply':
      if (wait) {
        draft.wakeBy(replyDueAt(task, draft.around));
        return true;
      }
      // The command is out; nobody knows what becomes of it. Its compensation finds out.
      draft.add({
        kind: 'unknown',
        role: 'step',
        step: name,
        attempt: task.attempt,
        error: GIVEN_UP,
      });
      return false;
    case 'done':
    case 'failed':
    case 'unknown':
      return false;
  }
}

function giveUp(draft: Draft, step: string): void {
  const task = taskOf(draft.state, 'step', step);
  const error = task.error ?? GIVEN_UP;
  const { attempt, doubt } = task;
  if (doubt) draft.add({ kind: 'unknown', role: 'step', step, attempt, error });
  else draft.add({ kind: 'failed', role: 'step', step, attempt, error, doubt: false });
}
