import { SagazError } from '../../errors/index.js';
import type { Message } from '../../ports/index.js';
import { LONGEST_KEY } from './longest-key.js';

/** Tenant, topic and key of a message are together longer than an index of a store or broker takes. */
export class KeyTooLongError extends SagazError {
  readonly code = 'SAGAZ_KEY_TOO_LONG';

  constructor(
    /** The type of the message. */
    readonly messageType: string,
    /** How many bytes its tenant, topic and key have. */
    readonly bytes: number,
  ) {
    super(
      `Tenant, topic and key of a message '${messageType}' have ${bytes} bytes.`,
      `Give them ${LONGEST_KEY} at most: a key is the id of what the message is about, or a digest of it.`,
    );
  }
}

/**
 * The error of a message whose tenant, topic and key are longer than an index takes, or null. A store or
 * broker that took such a message could not set it aside when it fails.
 */
export function keyTooLong({
  type,
  tenant,
  topic,
  key,
}: Pick<Message, 'type' | 'tenant' | 'topic' | 'key'>): KeyTooLongError | null {
  // A character has at most three bytes in UTF-8.
  if (3 * (tenant.length + topic.length + key.length) <= LONGEST_KEY) return null;
  const bytes = Buffer.byteLength(tenant) + Buffer.byteLength(topic) + Buffer.byteLength(key);
  return bytes <= LONGEST_KEY ? null : new KeyTooLongError(type, bytes);
}

/** @throws KeyTooLongError */
export function checkKeys(messages: readonly Message[]): void {
  for (const message of messages) {
    const error = keyTooLong(message);
    if (error !== null) throw error;
  }
}
