import type { Clock } from '../../ports/index.js';
import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { settlesWithin } from '../settles-within.js';
import { NoConnectionError } from './errors.js';
import type { InboxAttempt } from './inbox-attempt.js';

/** What the pipeline around a handler threw. */
export interface Thrown {
  readonly error: unknown;
}

/**
 * Runs the pipeline around a handler, and comes back in bounded time: what does not end within its limit
 * is told to stop, and what does not stop loses its transaction. The wait for a connection is not held
 * against the handler: the limit begins anew when it has one.
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
    /** How long it is waited for once it was told to stop. */
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
    // Something farther out, a timeout for instance, may have answered while the transaction is open.
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
