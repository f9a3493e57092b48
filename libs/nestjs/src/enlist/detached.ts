import { AsyncResource } from 'node:async_hooks';

const outside = new AsyncResource('Sagaz');

/**
 * Runs `work` outside of every async context that the caller stands in. What a commit sets in motion
 * (an engine's turn, a timer) must not inherit the caller's request or, worse, its transaction: a
 * step would otherwise write into a transaction that has long ended.
 */
export function detached<T>(work: () => T): T {
  return outside.runInAsyncScope(work);
}
