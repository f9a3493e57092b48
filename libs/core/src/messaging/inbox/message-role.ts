import { HEADERS, type InboxKey, type Message } from '../../ports/index.js';
import { indexText, isIndexText, LONGEST_MESSAGE_ID } from '../rules/index.js';
import { untrustedDigest } from '../signing/index.js';
import { MalformedCommandError } from './errors.js';
import type { MessageRole } from './inbox.types.js';

/** The part of a message in a saga, as its headers state it. */
export type MessagePart =
  | { readonly role: 'event' }
  | {
      readonly role: 'command' | 'compensation';
      readonly idempotencyKey: string;
      /** The topic for the reply; null: no reply is expected. */
      readonly replyTo: string | null;
      /**
       * The expiry of the command; null: none. A compensation never expires, since an undo must happen
       * however late it is.
       */
      readonly expiresAt: string | null;
    };

/** Reads the role of a message. A message without a role of Sagaz is an event. */
export function roleOf(message: Message): MessageRole {
  const role = message.headers[HEADERS.role];
  return role === 'command' || role === 'compensation' ? role : 'event';
}

/** Reads the part of a message from its headers. Throws `MalformedCommandError`. */
export function partOf(message: Message): MessagePart {
  const role = roleOf(message);
  if (role === 'event') return { role };
  const { headers, type } = message;
  const idempotencyKey = headers[HEADERS.idempotencyKey] ?? '';
  if (!isIndexText(idempotencyKey)) {
    throw new MalformedCommandError(
      type,
      HEADERS.idempotencyKey,
      idempotencyKey === ''
        ? 'is missing'
        : `is longer than ${LONGEST_MESSAGE_ID} characters or holds what cannot be stored`,
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

/**
 * Reads the reply address of a message whose other headers are malformed, so that its sender can be
 * told.
 */
export function partOfMalformed(message: Message): MessagePart {
  const role = roleOf(message);
  if (role === 'event') return { role };
  const replyTo = message.headers[HEADERS.replyTo] ?? null;
  return { role, idempotencyKey: '', replyTo, expiresAt: null };
}

/**
 * The key by which a group recognises a message. A message that is marked as untrusted gets a key of
 * its own, different from that of the id it claims.
 */
export function inboxKeyOf(
  group: string,
  message: Pick<Message, 'tenant' | 'source' | 'id'> & Partial<Pick<Message, 'headers'>>,
): InboxKey {
  const untrusted = untrustedDigest(message);
  return {
    tenant: indexText(message.tenant),
    group,
    source: indexText(message.source),
    id: untrusted === undefined ? indexText(message.id) : indexText(`untrusted:${untrusted}`),
  };
}
