import { AsyncResource } from 'node:async_hooks';

const outside = new AsyncResource('Sagaz');

/**
 * Runs `work` outside of every async context of the caller. Work that a commit starts (a turn of an
 * engine, a timer) must not inherit the caller's request or, worse, its transaction, or a step would
 * write into a transaction that ended long ago.
 */
export function detached<T>(work: () => T): T {
  return outside.runInAsyncScope(work);
}
