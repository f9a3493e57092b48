import type { Delivery } from '../../ports/index.js';
import {
  markUntrusted,
  withoutMark,
  type Distrust,
  type MessageSigning,
} from '../signing/index.js';

/** A delivery of which is known whether its message is believed. */
export interface Judged extends Delivery {
  /** Null: it is. */
  readonly distrust: Distrust | null;
}

/** Checks the signature, where messages are signed, and marks what is not believed. */
export function judged(
  delivery: Delivery,
  signing: Pick<MessageSigning, 'verify'> | undefined,
): Judged {
  const message = withoutMark(delivery.message);
  const distrust = signing?.verify(message) ?? null;
  return { ...delivery, message: distrust === null ? message : markUntrusted(message), distrust };
}
