import { delayOf } from '../../retry/index.js';
import type { CompensationDefinition, StepDefinition } from '../../saga/index.js';
import { taskKeyOf, type ErrorRecord, type Role, type TaskRef } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import { commandMessage } from './command-message.js';
import type { Draft } from './decision.js';
import type { AttemptResult, WaitRequest } from './saga-event.js';

/** The method of a task; null when the definition has no such task. */
export function methodOf(
  step: StepDefinition,
  role: Role,
): StepDefinition | CompensationDefinition | null {
  if (role === 'step') return step;
  return role === 'compensation' ? step.compensation : step.forwardRecovery;
}

/** Takes into account how an attempt ended. */
export function settle(
  draft: Draft,
  ref: TaskRef,
  attempt: number,
  epoch: number,
  result: AttemptResult,
): void {
  const { context, state } = draft;
  const task = taskOf(state, ref);
  const step = context.definition.steps.get(ref.step);
  const current = task.status === 'running' && task.attempt === attempt && task.epoch === epoch;
  if (step === undefined || !current) {
    // The result belongs to an earlier epoch, or to an attempt that was given up.
    if (result.kind === 'completed') lateSuccess(draft, ref, attempt, result.output);
    return;
  }
  switch (result.kind) {
    case 'completed':
      draft.add({ kind: 'completed', ...ref, attempt, output: result.output });
      return;
    case 'waits':
      wait(draft, ref, attempt, methodOf(step, ref.role) ?? step, result.request);
      return;
    case 'released':
      draft.add({ kind: 'released', ...ref, attempt, doubt: result.doubt });
      return;
    case 'failed':
      failAttempt(draft, ref, attempt, result.error, result);
      return;
  }
}

/** The task waits from now on for what its attempt asked for. */
function wait(
  draft: Draft,
  ref: TaskRef,
  attempt: number,
  method: StepDefinition | CompensationDefinition,
  request: WaitRequest,
): void {
  const { context, state } = draft;
  const { command } = request;
  const { handledBy } = command.contract;
  const key = taskKeyOf(context.sagaId, ref, command.item);
  const timeoutMs = command.timeoutMs ?? method.replyTimeoutMs;
  const message = commandMessage(context, ref, key, timeoutMs, state.trace, request);
  draft.messages.push(message);
  const reply = { kind: request.kind, messageId: message.id, type: message.type, key };
  const awaited = handledBy == null ? reply : { ...reply, handledBy };
  draft.add({ kind: 'waiting', ...ref, attempt, for: awaited, timeoutMs });
}

/** One attempt failed: another one follows, or the task has failed for good. */
export function failAttempt(
  draft: Draft,
  ref: TaskRef,
  attempt: number,
  error: ErrorRecord,
  how: { readonly doubt: boolean; readonly final: boolean; readonly reply?: string | null },
): void {
  const task = taskOf(draft.state, ref);
  const step = draft.context.definition.steps.get(ref.step);
  const retry = step === undefined ? null : (methodOf(step, ref.role)?.retry ?? null);
  const doubt = task.doubt || how.doubt;
  const failures = task.failures + 1;
  if (!how.final && retry !== null && failures < retry.attempts) {
    const delayMs = delayOf(retry, failures, draft.context.random);
    const { reply = null } = how;
    const failed = { ...ref, attempt, error, delayMs, doubt };
    draft.add({ kind: 'attempt_failed', ...failed, ...(reply === null ? {} : { reply }) });
    return;
  }
  // A pivot in doubt can neither be undone nor be ignored, so a person has to find out whether it had
  // its effect.
  const unknown = doubt && (how.doubt || step?.pivot === true);
  if (unknown) draft.add({ kind: 'unknown', ...ref, attempt, error });
  else draft.add({ kind: 'failed', ...ref, attempt, error, doubt });
}

/**
 * Takes into account that an abandoned attempt has succeeded, so that its effect is there. For a pivot
 * or a recovery in doubt, the success counts as its result. The effect of another step may have to be
 * undone. The success of an undo is only noted: the step may have had its effect once more since then,
 * so the undo is done again.
 */
export function lateSuccess(draft: Draft, ref: TaskRef, attempt: number, output: unknown): void {
  const { role, step } = ref;
  const task = taskOf(draft.state, ref);
  if (task.status === 'done' && (role !== 'step' || task.attempt === attempt)) return;
  const pivot = draft.context.definition.steps.get(step)?.pivot === true;
  const open = draft.state.phase === 'forward' || draft.state.phase === 'attention';
  const inDoubt = task.status === 'unknown' && (role === 'step' ? pivot : role === 'recovery');
  if (open && inDoubt) draft.add({ kind: 'completed', ...ref, attempt, output });
  else draft.add({ kind: 'late_success', ...ref, attempt, output });
}
