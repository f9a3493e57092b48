import type { TaskState } from '../state/index.js';
import type { DecisionContext } from './decision.js';

/**
 * An engine that has returned listens for this long before it counts a reply as missing; in
 * milliseconds. It is longer than a broker takes to deliver the messages that were leased or assigned
 * to the process before it.
 */
const LISTEN_MS = 30_000;

/**
 * The time at which a reply counts as missing, by the store's clock. A reply that came while this
 * process was away may still be waiting in the broker, so for a command that was sent before the engine
 * returned, the wait ends only after it has listened for a while.
 */
export function replyDueAt({ sentAt, dueAt }: TaskState, { backAt }: DecisionContext): number {
  return sentAt >= backAt ? dueAt : Math.max(dueAt, backAt + LISTEN_MS);
}
