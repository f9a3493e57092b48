import { createHash } from 'node:crypto';
import { HEADERS, type Message } from '../../ports/index.js';
import { signedBytes } from './signed-bytes.js';

/**
 * The message as its dead letter keeps it. What the mark names is the letter's own place in the inbox:
 * under the id that an untrusted message claims, it would keep out the true message of that id.
 */
export function markUntrusted(message: Message): Message {
  const digest = createHash('sha256')
    .update(signedBytes(message))
    .update(message.headers[HEADERS.signature] ?? '')
    .digest('hex');
  return { ...message, headers: { ...message.headers, [HEADERS.untrusted]: digest } };
}

/** The digest in the mark; undefined: the message bears none. */
export function untrustedDigest({
  headers,
}: Partial<Pick<Message, 'headers'>>): string | undefined {
  return headers?.[HEADERS.untrusted];
}

/** The message as it came. A sender cannot set the mark: it is taken off whatever is delivered. */
export function withoutMark(message: Message): Message {
  if (untrustedDigest(message) === undefined) return message;
  const { [HEADERS.untrusted]: _, ...headers } = message.headers;
  return { ...message, headers };
}
