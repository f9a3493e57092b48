import type { TaskState } from '../state/index.js';
import type { DecisionContext } from './decision.js';

/**
 * So long an engine that is there again listens before it misses a reply. Longer than a broker takes to
 * give it what was leased, or assigned, to the process before it.
 */
const LISTEN_MS = 30_000;

/**
 * When a reply is missing. What came while this process was not there may still lie in the broker, so
 * for what was sent before that the wait ends no sooner than it has listened for a while.
 */
export function replyDueAt({ sentAt, dueAt }: TaskState, { backAt }: DecisionContext): number {
  return sentAt >= backAt ? dueAt : Math.max(dueAt, backAt + LISTEN_MS);
}
