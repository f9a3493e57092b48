import type { Delivery } from '../../ports/index.js';
import {
  markUntrusted,
  withoutMark,
  type Distrust,
  type MessageSigning,
} from '../signing/index.js';

/** A delivery whose signature has been checked. */
export interface Judged {
  readonly delivery: Delivery;
  /** Why the message is not trusted; null: it is. */
  readonly distrust: Distrust | null;
}

/**
 * Checks the signature of a message, if messages are signed, and marks a message that is not trusted.
 */
export function judged(
  delivered: Delivery,
  signing: Pick<MessageSigning, 'verify'> | undefined,
): Judged {
  const unmarked = withoutMark(delivered.message);
  const distrust = signing?.verify(unmarked) ?? null;
  const message = distrust === null ? unmarked : markUntrusted(unmarked);
  // Nearly every message is as it came, and need not be copied.
  const delivery = message === delivered.message ? delivered : { ...delivered, message };
  return { delivery, distrust };
}
