import { indexText, parseJournal, recordText, type Distrust } from '../../messaging/index.js';
import { HEADERS, type DefinitionRef, type Message, type NewMail } from '../../ports/index.js';
import type { TaskRef } from '../journal/index.js';
import { MalformedReplyError } from './malformed-reply.error.js';

/** A reply to a command, in the form in which mail keeps it. */
export interface ReplyMail {
  readonly status: 'ok' | 'refused' | 'failed';
  readonly key: string;
  readonly repliesTo: 'command' | 'compensation';
  readonly messageId: string;
  /** The id of the command message that it answers; null: the participant did not name it. */
  readonly answers: string | null;
  /** The service that sent the reply. */
  readonly source: string;
  /** The reply was made by the relay of the saga's own database: the command never reached a broker. */
  readonly undelivered: boolean;
  readonly contentType: string;
  /** The body as text; empty: nothing. */
  readonly payload: string;
}
import type { OperatorRequest } from './operator-request.js';

/**
 * The kinds of mail that this version takes into account, each with the lowest format of the engines that
 * do. A newer form of one is a kind of its own.
 */
const MAIL_FORMATS = {
  reply: 1,
  untrusted: 1,
  late: 1,
  cancel: 1,
  retry: 1,
  terminate: 1,
} as const;
export type MailKind = keyof typeof MAIL_FORMATS;

/**
 * Whether this version knows such mail. Mail of other kinds stays in the store for an engine that knows
 * it.
 */
export function isKnownMail(kind: string): kind is MailKind {
  return Object.hasOwn(MAIL_FORMATS, kind);
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Makes mail for a saga from a reply message. A service does this with every message that arrives on
 * its replies topic. Repeats are dropped by the dedupe key as long as the first is unread, and ignored
 * by the saga afterwards.
 *
 * @throws MalformedReplyError when the headers name no saga, or the body is no text
 */
export function replyMail(message: Message): NewMail {
  return mailOf(message, false);
}

/**
 * Makes mail for a saga about a command that its relay has given up. Only the relay of the saga's own
 * database makes such mail; a message that comes from a broker never counts as this.
 *
 * @throws MalformedReplyError
 */
export function undeliveredMail(message: Message): NewMail {
  return mailOf(message, true);
}

/**
 * Makes mail for a saga about a reply whose signature is missing or wrong. At most one of each kind is
 * stored unread at a time, and none of them keeps out a true reply.
 *
 * @throws MalformedReplyError
 */
export function untrustedMail(message: Message, { reason, problem }: Distrust): NewMail {
  const sagaId = sagaOf(message);
  const data = recordText({ reason, problem, messageId: message.id, source: message.source });
  return {
    sagaId,
    ...formatted('untrusted'),
    dedupeKey: `untrusted:${reason}`,
    data: data ?? '{}',
  };
}

function mailOf(message: Message, undelivered: boolean): NewMail {
  const { headers } = message;
  const sagaId = sagaOf(message);
  const key = headers[HEADERS.idempotencyKey];
  const status = headers[HEADERS.replyStatus];
  const repliesTo = headers[HEADERS.repliesTo] ?? 'command';
  const answers = headers[HEADERS.causationId] ?? null;
  if (key === undefined) throw new MalformedReplyError(message.id, HEADERS.idempotencyKey, key);
  if (status !== 'ok' && status !== 'refused' && status !== 'failed') {
    throw new MalformedReplyError(message.id, HEADERS.replyStatus, status);
  }
  if (repliesTo !== 'command' && repliesTo !== 'compensation') {
    throw new MalformedReplyError(message.id, HEADERS.repliesTo, repliesTo);
  }
  let payload: string;
  try {
    payload = decoder.decode(message.payload);
  } catch (error) {
    throw new MalformedReplyError(message.id, 'body', 'bytes that are no UTF-8', { cause: error });
  }
  const reply: ReplyMail = {
    status,
    key,
    repliesTo,
    messageId: message.id,
    answers,
    source: message.source,
    undelivered,
    contentType: message.contentType,
    payload,
  };
  return {
    sagaId,
    ...formatted('reply'),
    // The key contains the command, so that the unread failure of an earlier attempt does not keep out
    // the success of a later one. It contains the source, so that a reply of a service that may not
    // answer does not keep out the true one.
    dedupeKey: indexText(`reply:${key}:${repliesTo}:${answers ?? ''}:${message.source}`),
    data: recordText(reply) ?? '{}',
  };
}

/** The kind, and the format that says which engines know it. */
function formatted(kind: MailKind): Pick<NewMail, 'kind' | 'format'> {
  return { kind, format: MAIL_FORMATS[kind] };
}

function sagaOf({ id, headers }: Message): string {
  const sagaId = headers[HEADERS.sagaId];
  if (sagaId === undefined || !UUID.test(sagaId)) {
    throw new MalformedReplyError(id, HEADERS.sagaId, sagaId);
  }
  return sagaId;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Mail of operators and users. `actor`: the one who asks; empty: not known. */
export function controlMail(
  sagaId: string,
  definition: DefinitionRef,
  kind: OperatorRequest,
  reason: string,
  actor = '',
): NewMail {
  const data = recordText({ reason, ...(actor === '' ? {} : { actor }) }) ?? '{}';
  return { sagaId, definition, ...formatted(kind), dedupeKey: kind, data };
}

/**
 * Makes mail about an attempt that succeeded in a process which does not own the saga any more. The
 * engine that owns it now has to know; otherwise the effect would stay although the journal says that
 * it was undone.
 */
export function lateMail(
  sagaId: string,
  definition: DefinitionRef,
  { role, step, item }: TaskRef,
  attempt: number,
  output: unknown,
): NewMail {
  return {
    sagaId,
    definition,
    ...formatted('late'),
    dedupeKey: indexText(`late:${role}:${step}:${item ?? ''}:${attempt}`),
    data: recordText({ role, step, item, attempt, output }) ?? '{}',
  };
}

/** The one who made a request, for the entry that comes of it. */
export function actorIn({ actor }: Readonly<Record<string, unknown>>): { readonly actor?: string } {
  return typeof actor === 'string' && actor !== '' ? { actor } : {};
}

/** The data of mail as a record; empty if it is no JSON object. */
export function mailData(data: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parseJournal(data);
  } catch {
    // Mail can be written by hand; mail that cannot be read must not stop the saga.
    return {};
  }
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
