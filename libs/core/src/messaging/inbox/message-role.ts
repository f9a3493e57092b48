import { createHash } from 'node:crypto';
import { HEADERS, type InboxKey, type Message } from '../../ports/index.js';
import { untrustedDigest } from '../signing/index.js';
import { MalformedCommandError } from './errors.js';
import type { MessageRole } from './inbox.types.js';

/** What the headers of a message say about its part in a saga. */
export type MessagePart =
  | { readonly role: 'event' }
  | {
      readonly role: 'command' | 'compensation';
      readonly idempotencyKey: string;
      /** Null: nobody waits for a reply. */
      readonly replyTo: string | null;
      /** Null: it does not expire. A compensation never does: an undo is due however late it is. */
      readonly expiresAt: string | null;
    };

/** The role alone; what is not a role of Sagaz is an event. */
export function roleOf(message: Message): MessageRole {
  const role = message.headers[HEADERS.role];
  return role === 'command' || role === 'compensation' ? role : 'event';
}

/** Reads the headers. Throws `MalformedCommandError`. */
export function partOf(message: Message): MessagePart {
  const role = roleOf(message);
  if (role === 'event') return { role };
  const { headers, type } = message;
  const idempotencyKey = headers[HEADERS.idempotencyKey] ?? '';
  if (!isKeyText(idempotencyKey)) {
    throw new MalformedCommandError(
      type,
      HEADERS.idempotencyKey,
      idempotencyKey === ''
        ? 'is missing'
        : `is longer than ${LONGEST_PART} characters or holds what cannot be stored`,
    );
  }
  const expiresAt = role === 'command' ? (headers[HEADERS.expiresAt] ?? null) : null;
  if (expiresAt !== null && Number.isNaN(Date.parse(expiresAt))) {
    throw new MalformedCommandError(
      type,
      HEADERS.expiresAt,
      `is ${JSON.stringify(expiresAt)}, which is no instant`,
    );
  }
  return { role, idempotencyKey, replyTo: headers[HEADERS.replyTo] ?? null, expiresAt };
}

/** What is left of the part of a message whose headers make no sense: whom to tell. */
export function partOfMalformed(message: Message): MessagePart {
  const role = roleOf(message);
  if (role === 'event') return { role };
  const replyTo = message.headers[HEADERS.replyTo] ?? null;
  return { role, idempotencyKey: '', replyTo, expiresAt: null };
}

/** An index of PostgreSQL takes about 2,700 bytes; four such parts have to fit with room to spare. */
const LONGEST_PART = 500;

function isKeyText(text: string): boolean {
  return text !== '' && text.length <= LONGEST_PART && !/[\0\ud800-\udfff]/u.test(text);
}

/**
 * Other people's ids can be anything, NUL and a megabyte included. What no database could index is
 * replaced by its digest, because a message that can be neither claimed nor buried would come back
 * for ever.
 */
function storable(text: string): string {
  if (text === '' || isKeyText(text)) return text;
  return `sha256:${createHash('sha256').update(text, 'utf16le').digest('hex')}`;
}

/** What makes a message one message for a group. One that is marked as untrusted is none with its id. */
export function inboxKeyOf(
  group: string,
  message: Pick<Message, 'tenant' | 'source' | 'id'> & Partial<Pick<Message, 'headers'>>,
): InboxKey {
  const untrusted = untrustedDigest(message);
  return {
    tenant: storable(message.tenant),
    group,
    source: storable(message.source),
    id: untrusted === undefined ? storable(message.id) : storable(`untrusted:${untrusted}`),
  };
}
