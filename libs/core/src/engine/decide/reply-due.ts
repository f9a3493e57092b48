import type { TaskState } from '../state/index.js';
import type { Surroundings } from './decision.js';

/** So long at most a new incarnation listens before it misses a reply. */
const LISTEN_MS = 30_000;

/**
 * When a reply is missing. What came while no process of the service lived still lies in the broker:
 * for a command that was sent before this incarnation was there, the wait begins again with it.
 */
export function replyDueAt({ sentAt, dueAt }: TaskState, { bornAt }: Surroundings): number {
  return Math.max(dueAt, bornAt + Math.min(LISTEN_MS, dueAt - sentAt));
}
