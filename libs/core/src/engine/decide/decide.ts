import type { Ownership, SagaStatus } from '../../ports/index.js';
import { forkState, taskOf, type SagaState } from '../state/index.js';
import { ROLES, taskRef, type SagaEntry } from '../journal/index.js';
import { Draft, type Decision, type DecisionContext } from './decision.js';
import { definitionProblem } from './definition-problem.js';
import { advance } from './forward.js';
import type { SagaEvent } from './saga-event.js';
import { takeMail } from './take-mail.js';
import { adopt } from './adopt.js';
import { lateSuccess, settle } from './task-result.js';
import { stillNeedsPerson } from './operator-request.js';
import { takeTime } from './take-time.js';
import { undo } from './undo.js';

/**
 * Decides the next transition of a saga from its journaled state, the events since then, and the
 * context. A decision without entries means that there is nothing to commit.
 */
export function decide(
  state: SagaState,
  events: readonly SagaEvent[],
  context: DecisionContext,
): Decision {
  const draft = new Draft(forkState(state), context);
  for (const event of events) take(draft, event);
  if (draft.entries.some((entry) => leavesEffect(state, draft, entry))) {
    draft.add({
      kind: 'needs_attention',
      reason: 'late_effect',
      detail: 'A step that had been abandoned succeeded after the saga had ended.',
    });
  }
  resume(draft);
  if (draft.state.phase === 'forward' || draft.state.phase === 'undoing') {
    const problem = definitionProblem(draft.state, context.definition);
    if (problem !== null) {
      draft.add({ kind: 'needs_attention', reason: 'definition_changed', detail: problem });
    }
  }
  // What a saga does next may depend on the mail that only a newer engine reads.
  if (!context.handsOver) {
    takeTime(draft);
    if (draft.state.phase === 'forward') advance(draft);
    if (draft.state.phase === 'undoing') undo(draft);
  }
  if (draft.state.phase === 'ended' || draft.state.phase === 'attention') abortAll(draft);
  return finish(draft);
}

/**
 * Whether a late success added an effect to a saga that had ended by itself, which a person then has to
 * look at. A success of the attempt that counts already adds none. A saga that an operator terminated
 * stays ended; the entry in its journal tells of the effect.
 */
function leavesEffect(before: SagaState, draft: Draft, entry: SagaEntry): boolean {
  if (before.phase !== 'ended' || before.end?.status === 'terminated') return false;
  if (entry.kind !== 'late_success') return false;
  return ROLES.some((role) => {
    const ref = { ...taskRef(entry), role };
    return taskOf(draft.state, ref) !== taskOf(before, ref);
  });
}

/** Lets a parked saga go on when events have settled the question that a person was asked. */
function resume(draft: Draft): void {
  const { state, context } = draft;
  if (state.phase !== 'attention' || state.attention === null) return;
  if (stillNeedsPerson(state.attention.reason, state, context.definition)) return;
  draft.add({ kind: 'retry_requested', again: [] });
}

function take(draft: Draft, event: SagaEvent): void {
  switch (event.kind) {
    case 'settled': {
      const { attempt, epoch, result } = event;
      settle(draft, taskRef(event), attempt, epoch, result);
      return;
    }
    case 'late_success':
      lateSuccess(draft, taskRef(event), event.attempt, event.output);
      return;
    case 'mail':
      takeMail(draft, event.mail);
      return;
    case 'adopted':
      adopt(draft, event.from);
      return;
    case 'refused':
      draft.add({ kind: 'needs_attention', reason: 'journal_refused', detail: event.detail });
      return;
  }
}

/**
 * Aborts every running attempt, because the saga has ended or waits for a person and uses no result any
 * more.
 */
function abortAll(draft: Draft): void {
  for (const [ref, { status }] of draft.state.tasks) {
    if (status === 'running') draft.aborts.push(ref);
  }
}

function finish(draft: Draft): Decision {
  const { state } = draft;
  const ownership = ownershipOf(draft);
  // Also for a saga that has ended: the transition gives up the ownership that was taken to record a
  // late effect.
  if (ownership.kind === 'give_back' && draft.entries.length === 0) {
    draft.add({ kind: 'parked' });
  }
  return {
    next: state,
    entries: draft.entries,
    messages: draft.messages,
    consumedMail: draft.consumedMail,
    status: statusOf(state, ownership),
    ownership,
    starts: draft.starts,
    aborts: draft.aborts,
    restarts: draft.restarts,
    startPostponed: draft.startPostponed,
    waitingFor: draft.waitingFor,
    wakeAt: ownership.kind === 'keep' ? draft.wakeAt : null,
  };
}

function ownershipOf(draft: Draft): Ownership {
  const { state, context } = draft;
  // Attempts may still be running. If one of them succeeds later, that is reported by mail to the
  // engine that owns the saga then.
  if (state.phase === 'attention' || state.phase === 'ended') {
    return { kind: 'give_back', wakeInMs: null };
  }
  if (anythingHere(draft)) return { kind: 'keep' };
  if (context.handsOver) return { kind: 'give_back', wakeInMs: 0 };
  const inMs = draft.wakeAt === null ? null : Math.max(0, draft.wakeAt - context.now);
  if (context.draining) return { kind: 'give_back', wakeInMs: draft.startPostponed ? 0 : inMs };
  if (draft.startPostponed) return { kind: 'keep' };
  if (inMs === null || inMs < context.shortDelayMs) return { kind: 'keep' };
  return { kind: 'give_back', wakeInMs: inMs };
}

/** Whether an attempt of the saga is running in this process, or is about to start. */
function anythingHere(draft: Draft): boolean {
  for (const [ref, { status }] of draft.state.tasks) {
    if (status === 'running' || draft.context.unsettled(ref)) return true;
  }
  return false;
}

function statusOf(state: SagaState, ownership: Ownership): SagaStatus {
  switch (state.phase) {
    case 'ended':
      return state.end?.status ?? 'terminated';
    case 'attention':
      return 'needs_attention';
    case 'undoing':
      return 'compensating';
    case 'forward':
      return ownership.kind === 'give_back' ? 'waiting' : 'running';
  }
}
