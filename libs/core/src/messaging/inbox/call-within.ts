import type { Clock } from '../../ports/index.js';
import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { settlesWithin } from '../settles-within.js';
import { NoConnectionError } from './errors.js';
import type { InboxAttempt } from './inbox-attempt.js';
import type { TimeLimits } from './time-limits.js';

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
  { limitMs, graceMs }: TimeLimits,
  clock: Clock,
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
  if (await endsInTime(attempt, calling, clock, limitMs)) return end.thrown;
  const { type } = attempt.message;
  attempt.giveUp(
    attempt.openedAt === null && attempt.waitsForTransaction
      ? new NoConnectionError(type, limitMs)
      : new HandlerTimeoutError(type, limitMs),
  );
  if (!(await settlesWithin(calling, clock, graceMs))) attempt.sever();
  return end.thrown;
}

/**
 * Whether `calling` settles in time. One timer serves the wait for the transaction and the handler's own
 * time, because each timer is a good part of the cost of a short handler.
 */
function endsInTime(
  attempt: InboxAttempt,
  calling: Promise<void>,
  clock: Clock,
  limitMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const due = (): void => {
      const { openedAt } = attempt;
      const leftMs = openedAt === null ? 0 : Math.ceil(openedAt + limitMs - clock.now());
      if (leftMs > 0) timer = clock.after(leftMs, due);
      else resolve(false);
    };
    let timer = clock.after(limitMs, due);
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    calling.then(settled, settled);
  });
}
