import type { Mail } from '../../ports/index.js';
import type { ErrorRecord, Role, TaskRef } from '../journal/index.js';
import { taskOf, type SagaState } from '../state/index.js';
import type { Draft } from './decision.js';
import { letterOf } from './saga-mail.js';
import { failAttempt, lateSuccess } from './task-result.js';
import { forwardCommitted } from './progress.js';

const ROLES: readonly Role[] = ['step', 'compensation', 'recovery'];

/** Takes one letter into account. Every letter leaves a trace in the journal, also an ignored one. */
export function takeMail(draft: Draft, mail: Mail): void {
  draft.consumedMail.push(mail.id);
  const before = draft.entries.length;
  const letter = letterOf(mail.data);
  const why = take(draft, mail, letter);
  if (draft.entries.length === before) {
    draft.add({ kind: 'mail_ignored', mail: mail.kind, reason: why ?? 'nothing to change' });
  }
}

function take(draft: Draft, mail: Mail, letter: Readonly<Record<string, unknown>>): string | null {
  const reason = typeof letter.reason === 'string' ? letter.reason : '';
  switch (mail.kind) {
    case 'reply':
      return takeReply(draft, letter);
    case 'cancel':
      return cancel(draft, reason);
    case 'terminate':
      return terminate(draft, reason);
    case 'retry':
      return retry(draft);
    case 'late':
      if (typeof letter.step !== 'string' || typeof letter.attempt !== 'number')
        return 'unreadable';
      if (!draft.around.definition.steps.has(letter.step)) return 'unknown step';
      lateSuccess(draft, { role: 'step', step: letter.step }, letter.attempt, letter.output);
      return 'known already';
    default:
      return 'unknown kind';
  }
}

function takeReply(draft: Draft, letter: Readonly<Record<string, unknown>>): string | null {
  const { key, status, payload, repliesTo } = letter;
  if (typeof key !== 'string' || typeof payload !== 'string') return 'unreadable';
  const ref = awaiting(draft.state, key, repliesTo === 'compensation' ? 'compensation' : 'command');
  if (ref === null) return 'nobody waits for it any more';
  const { role, step } = ref;
  const { attempt, commandId, lastReply } = taskOf(draft.state, role, step);
  const body = bodyOf(payload);
  if (status === 'ok' && body.ok) {
    draft.add({ kind: 'completed', role, step, attempt, output: body.value });
    return null;
  }
  const error = negative(step, status, body);
  if (status === 'refused') {
    // A "no" is known to have had no effect, and no repetition changes it.
    draft.add({ kind: 'failed', role, step, attempt, error, doubt: false });
    return null;
  }
  // Attempts share their key, so a success answers them all; a failure answers one of them, once.
  if (typeof letter.answers === 'string' && letter.answers !== commandId) {
    return 'it answers an earlier attempt';
  }
  const reply = typeof letter.messageId === 'string' ? letter.messageId : null;
  if (reply !== null && reply === lastReply) return 'it was taken before';
  // The participant gave the command up; what its handler had done by then nobody knows.
  failAttempt(draft, ref, attempt, error, { doubt: true, final: role === 'step', reply });
  return null;
}

function awaiting(
  state: SagaState,
  key: string,
  repliesTo: 'command' | 'compensation',
): TaskRef | null {
  for (const [step, roles] of state.steps) {
    for (const role of ROLES) {
      if ((role === 'compensation') !== (repliesTo === 'compensation')) continue;
      if (roles[role].status === 'awaiting_reply' && roles[role].key === key) return { role, step };
    }
  }
  return null;
}

type Body = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

function bodyOf(payload: string): Body {
  if (payload === '') return { ok: true, value: undefined };
  try {
    return { ok: true, value: JSON.parse(payload) };
  } catch {
    return { ok: false };
  }
}

function negative(step: string, status: unknown, body: Body): ErrorRecord {
  const value = body.ok ? body.value : undefined;
  const told = typeof value === 'object' && value !== null ? { ...value } : {};
  const reason = 'reason' in told && typeof told.reason === 'string' ? told.reason : 'unreadable';
  const details = 'details' in told ? told.details : null;
  return status === 'refused'
    ? { name: 'SagaRefusal', message: `Step '${step}' was refused: ${reason}.`, reason, details }
    : {
        name: 'CommandFailed',
        message: `The command of step '${step}' failed: ${reason}${explained(details)}.`,
        reason,
        details,
      };
}

/** What the participant says of the failure, where it says anything. */
function explained(details: unknown): string {
  if (typeof details !== 'object' || details === null || !('error' in details)) return '';
  return typeof details.error === 'string' ? ` (${details.error.replace(/\.$/, '')})` : '';
}

function cancel(draft: Draft, reason: string): string | null {
  const { state } = draft;
  if (state.phase !== 'forward') return 'the saga does not go forward any more';
  if (forwardCommitted(draft)) return 'its point of no return is passed';
  if (state.failures.length > 0) return 'it fails already';
  draft.add({ kind: 'failing', failure: { kind: 'cancelled', reason } });
  return null;
}

function terminate(draft: Draft, reason: string): string | null {
  if (draft.state.phase === 'ended') return 'the saga has ended';
  draft.add({ kind: 'saga_ended', status: 'terminated', output: undefined, reason });
  return null;
}

function retry(draft: Draft): string | null {
  const { state, around } = draft;
  if (state.phase !== 'attention') return 'the saga does not need attention';
  const again: TaskRef[] = [];
  for (const [step, roles] of state.steps) {
    for (const role of ROLES) {
      const { status } = roles[role];
      const pivot = around.definition.steps.get(step)?.pivot === true;
      const gaveUp = status === 'failed' || status === 'unknown';
      if (role === 'step' ? pivot && status === 'unknown' : gaveUp) again.push({ role, step });
    }
  }
  draft.add({ kind: 'retry_requested', again });
  return null;
}
