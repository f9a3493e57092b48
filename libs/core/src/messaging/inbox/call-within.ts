import type { Clock } from '../../ports/index.js';
import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { settlesWithin } from '../settles-within.js';
import { NoConnectionError } from './errors.js';
import type { InboxAttempt } from './inbox-attempt.js';

/** An error that the pipeline around a handler threw. */
export interface Thrown {
  readonly error: unknown;
}

/**
 * Runs the pipeline around a handler, and returns in bounded time. A handler that does not end within
 * its limit is told to stop, and one that does not stop loses its transaction. The wait for a
 * connection does not count: the limit begins anew when the handler has one.
 */
export async function callWithin(
  attempt: InboxAttempt,
  invoke: (attempt: InboxAttempt) => Promise<unknown>,
  {
    limitMs,
    graceMs,
    clock,
  }: {
    readonly limitMs: number | null;
    /** How long the handler may take to stop once it was told to, in milliseconds. */
    readonly graceMs: number;
    readonly clock: Clock;
  },
): Promise<Thrown | null> {
  const end: { thrown: Thrown | null } = { thrown: null };
  const calling = (async (): Promise<void> => {
    try {
      await invoke(attempt);
    } catch (error) {
      end.thrown = { error };
    }
    // An outer interceptor, a timeout for instance, may have answered while the transaction is still
    // open.
    await attempt.settled();
  })();
  if (limitMs === null) {
    await calling;
    return end.thrown;
  }
  const opened = await settlesWithin(Promise.race([calling, attempt.opened]), clock, limitMs);
  if (opened && (await settlesWithin(calling, clock, limitMs))) return end.thrown;
  const { type } = attempt.message;
  attempt.giveUp(
    !opened && attempt.waitsForTransaction
      ? new NoConnectionError(type, limitMs)
      : new HandlerTimeoutError(type, limitMs),
  );
  if (!(await settlesWithin(calling, clock, graceMs))) attempt.sever();
  return end.thrown;
}

/** How long a handler may take to stop after its limit: as long again, from one to ten seconds. */
export function graceOf(timeoutMs: number | null): number {
  return Math.min(Math.max(timeoutMs ?? 0, 1_000), 10_000);
}
