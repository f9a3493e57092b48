import { readReply } from '../../messaging/index.js';
import { bounded, plainDetails } from '../../errors/index.js';
import type { Mail } from '../../ports/index.js';
import { ROLES, type ErrorRecord, type IgnoredReply, type TaskRef } from '../journal/index.js';
import { taskOf, type SagaState, type TaskState } from '../state/index.js';
import type { Draft } from './decision.js';
import { actorIn, isKnownMail, mailData, type MailKind } from './saga-mail.js';
import { failAttempt, lateSuccess } from './task-result.js';
import { answerTo, retried, type OperatorRequest } from './operator-request.js';

/**
 * Takes one piece of mail into account. Each leaves an entry in the journal, also one that is ignored.
 */
export function takeMail(draft: Draft, mail: Mail): void {
  const { kind } = mail;
  // Mail of a newer version stays in the store for an engine that knows it.
  if (!isKnownMail(kind)) return;
  draft.consumedMail.push(mail.id);
  const before = draft.entries.length;
  const data = mailData(mail.data);
  const why = take(draft, kind, data);
  if (draft.entries.length === before) {
    const { reason, code } = why ?? { reason: 'nothing to change' };
    draft.add({
      kind: 'mail_ignored',
      mail: kind,
      reason,
      ...(code === undefined ? {} : { code }),
      ...actorIn(data),
    });
  }
}

interface Ignored {
  readonly reason: string;
  readonly code?: IgnoredReply;
}

/** The reason and code of a reply that does not count. */
function ignored(code: IgnoredReply, reason: string): Ignored {
  return { code, reason };
}

/** Null: it was taken into account. */
function take(
  draft: Draft,
  kind: MailKind,
  data: Readonly<Record<string, unknown>>,
): Ignored | null {
  const reason = typeof data.reason === 'string' ? data.reason : '';
  switch (kind) {
    case 'reply':
      return takeReply(draft, data);
    case 'untrusted':
      return distrusted(data);
    case 'cancel':
    case 'terminate':
    case 'retry':
      return operate(draft, kind, { reason, ...actorIn(data) });
    case 'late': {
      const { role, step, item, attempt, output } = data;
      const known = ROLES.find((one) => one === role);
      const whole = item === null || typeof item === 'string';
      if (known === undefined || typeof step !== 'string' || !whole || typeof attempt !== 'number')
        return { reason: 'unreadable' };
      if (!draft.context.definition.steps.has(step)) return { reason: 'unknown step' };
      lateSuccess(draft, { role: known, step, item }, attempt, output);
      return { reason: 'known already' };
    }
  }
}

function distrusted({ reason, problem, source }: Readonly<Record<string, unknown>>): Ignored {
  const code = reason === 'unsigned' ? reason : 'bad_signature';
  const told = typeof problem === 'string' ? problem : 'its signature is wrong';
  return ignored(code, `it names '${String(source)}' as its source, and ${told}`);
}

function takeReply(draft: Draft, data: Readonly<Record<string, unknown>>): Ignored | null {
  const { key, status, payload, repliesTo } = data;
  if (typeof key !== 'string' || typeof payload !== 'string') {
    return ignored('unreadable', 'unreadable');
  }
  const undoing = repliesTo === 'compensation';
  const body = bodyOf(payload, status === 'ok' ? readReply : JSON.parse);
  const awaited = addressee(draft.state, key, undoing, awaits);
  const definite = status === 'refused' || (status === 'ok' && body.ok);
  // A reply that tells the outcome of the command counts also when it comes late.
  const ref = awaited ?? (definite ? addressee(draft.state, key, undoing, settles(draft)) : null);
  if (ref === null) return ignored('not_awaited', 'nobody waits for it any more');
  const { role, step } = ref;
  const { attempt, command, lastReply } = taskOf(draft.state, ref);
  const { answers, source } = data;
  if (typeof answers !== 'string' || command?.ids.includes(answers) !== true) {
    return ignored('unknown_command', 'it names no command that was sent for this step');
  }
  const { handledBy } = command;
  if (handledBy !== null && source !== handledBy && data.undelivered !== true) {
    const reason = `it comes from '${String(source)}', and '${handledBy}' handles the command`;
    return ignored('wrong_source', reason);
  }
  if (status === 'ok' && body.ok) {
    draft.add({ kind: 'completed', ...ref, attempt, output: body.value });
    return null;
  }
  const error = negative(step, status, body);
  if (status === 'refused') {
    // A refused command is known to have had no effect, and sending it again changes nothing.
    draft.add({ kind: 'failed', ...ref, attempt, error, doubt: false });
    return null;
  }
  // Attempts share their key, so a success answers them all; a failure answers one of them, once.
  if (answers !== command.id) return ignored('earlier_attempt', 'it answers an earlier attempt');
  const reply = typeof data.messageId === 'string' ? data.messageId : null;
  if (reply !== null && reply === lastReply) return ignored('repeated', 'it was taken before');
  // The participant gave the command up; its handler may have had its effect by then.
  failAttempt(draft, ref, attempt, error, { doubt: true, final: role === 'step', reply });
  return null;
}

type Fits = (task: TaskState, ref: TaskRef) => boolean;

/** The task whose latest command has this key, if it takes the reply. */
function addressee(state: SagaState, key: string, undoing: boolean, fits: Fits): TaskRef | null {
  for (const [ref, task] of state.tasks) {
    if ((ref.role === 'compensation') !== undoing || task.command?.key !== key) continue;
    if (fits(task, ref)) return ref;
  }
  return null;
}

const awaits: Fits = ({ wait }) => wait?.kind === 'reply';

/**
 * Whether a late reply still decides something. Between two attempts it always does, and for a task
 * that gave up it does if the saga needs the outcome: for a pivot in doubt, an undo or a recovery. Any
 * other step that was given up is being undone or was undone, and its participant refuses a command
 * that reaches it after the undo.
 */
function settles({ state, context }: Draft): Fits {
  return ({ status }, { role, step }) => {
    if (state.phase === 'ended') return false;
    switch (status) {
      case 'backoff':
        return true;
      case 'failed':
        return role === 'compensation' || role === 'recovery';
      case 'unknown':
        return role !== 'step' || context.definition.steps.get(step)?.pivot === true;
      case 'idle':
      case 'running':
      case 'waiting':
      case 'done':
        return false;
    }
  };
}

type Body = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

/**
 * Reads the body of a reply. `read` throws if the body is not valid. The text of a refusal is not
 * bounded here, but where it is stored.
 */
function bodyOf(payload: string, read: (text: string) => unknown): Body {
  if (payload === '') return { ok: true, value: undefined };
  try {
    return { ok: true, value: read(payload) };
  } catch {
    return { ok: false };
  }
}

function negative(step: string, status: unknown, body: Body): ErrorRecord {
  const value = body.ok ? body.value : undefined;
  const told = typeof value === 'object' && value !== null ? { ...value } : {};
  const reason =
    'reason' in told && typeof told.reason === 'string' ? bounded(told.reason, 500) : 'unreadable';
  const details = 'details' in told ? plainDetails(told.details) : null;
  return status === 'refused'
    ? { name: 'SagaRefusal', message: `Step '${step}' was refused: ${reason}.`, reason, details }
    : {
        name: 'CommandFailed',
        message: `The command of step '${step}' failed: ${reason}${explained(details)}.`,
        reason,
        details,
      };
}

/** The participant's description of the failure, in parentheses; empty if it gave none. */
function explained(details: unknown): string {
  if (typeof details !== 'object' || details === null || !('error' in details)) return '';
  return typeof details.error === 'string' ? ` (${details.error.replace(/\.$/, '')})` : '';
}

/** The words of a request: why it was made, and by whom if that is known. */
interface Words {
  readonly reason: string;
  readonly actor?: string;
}

function operate(draft: Draft, request: OperatorRequest, words: Words): Ignored | null {
  const answer = answerTo(request, draft.state, draft.context.definition);
  if (!answer.acts) return { reason: answer.why };
  switch (request) {
    case 'cancel':
      cancel(draft, words);
      return null;
    case 'terminate':
      draft.add({ kind: 'saga_ended', status: 'terminated', output: undefined, ...words });
      return null;
    case 'retry':
      retry(draft, words);
      return null;
  }
}

function cancel(draft: Draft, { reason, ...by }: Words): void {
  draft.add({ kind: 'failing', failure: { kind: 'cancelled', reason }, ...by });
  // The saga was parked because of a recovery, so no step has to be stopped first.
  if (draft.state.phase === 'attention') draft.add({ kind: 'compensating' });
}

function retry(draft: Draft, words: Words): void {
  const { again, restarts } = retried(draft.state, draft.context.definition);
  draft.add({ kind: 'retry_requested', again, ...words });
  draft.restarts.push(...restarts);
}
