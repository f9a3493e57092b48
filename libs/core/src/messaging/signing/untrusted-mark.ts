import { createHash } from 'node:crypto';
import { HEADERS, type Message } from '../../ports/index.js';
import { signedBytes } from './signed-bytes.js';

/**
 * Marks an untrusted message for its dead letter. The mark gives it a key of its own in the inbox,
 * since under the id that it claims it would keep out the true message with that id.
 */
export function markUntrusted(message: Message): Message {
  const digest = createHash('sha256')
    .update(signedBytes(message))
    .update(message.headers[HEADERS.signature] ?? '')
    .digest('hex');
  return { ...message, headers: { ...message.headers, [HEADERS.untrusted]: digest } };
}

/** Reads the digest in the mark; undefined: the message has no mark. */
export function untrustedDigest({
  headers,
}: Partial<Pick<Message, 'headers'>>): string | undefined {
  return headers?.[HEADERS.untrusted];
}

/**
 * Removes the mark. This is done with every delivered message, so that a sender cannot set the mark.
 */
export function withoutMark(message: Message): Message {
  if (untrustedDigest(message) === undefined) return message;
  const { [HEADERS.untrusted]: _, ...headers } = message.headers;
  return { ...message, headers };
}
