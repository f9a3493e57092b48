import type { TaskState, Wait } from '../state/index.js';
import type { DecisionContext, Draft } from './decision.js';

/**
 * For how long an engine that has returned listens before it counts what was awaited as missing, in
 * milliseconds. For a reply it is longer than a broker takes to deliver the messages that were leased or
 * assigned to the process before it.
 */
const LISTEN_MS: Readonly<Record<Wait['kind'], number>> = { reply: 30_000 };

/**
 * The time at which a wait is over although what it waits for has not come, by the store's clock. What came
 * while this process was away may still be on its way here, so a wait that began before the engine returned
 * ends only after it has listened for a while.
 */
export function waitOverAt({ kind, since, until }: Wait, { backAt }: DecisionContext): number {
  return since >= backAt ? until : Math.max(until, backAt + LISTEN_MS[kind]);
}

/** Has the saga decide again when the wait of this task is over, if it waits. */
export function wakeWhenOver(draft: Draft, { wait }: TaskState): void {
  if (wait !== null) draft.wakeBy(waitOverAt(wait, draft.context));
}
