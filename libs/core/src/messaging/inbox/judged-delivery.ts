import type { Delivery } from '../../ports/index.js';
import {
  markUntrusted,
  withoutMark,
  type Distrust,
  type MessageSigning,
} from '../signing/index.js';

/** A delivery whose signature has been checked. */
export interface Judged extends Delivery {
  /** Why the message is not trusted; null: it is. */
  readonly distrust: Distrust | null;
}

/**
 * Checks the signature of a message, if messages are signed, and marks a message that is not trusted.
 */
export function judged(
  delivery: Delivery,
  signing: Pick<MessageSigning, 'verify'> | undefined,
): Judged {
  const message = withoutMark(delivery.message);
  const distrust = signing?.verify(message) ?? null;
  return { ...delivery, message: distrust === null ? message : markUntrusted(message), distrust };
}
