import { errorText } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';
import type { ClaimLoop } from './claim-loop.js';
import type { Membership } from './ownership/index.js';
import type { RunningSagas } from './running-sagas.js';

export interface ShutdownParts {
  readonly running: RunningSagas;
  readonly claims: ClaimLoop;
  readonly membership: Membership;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shutdownMs: number;
}

/**
 * Gives back what this engine has, each part within its share of the time: half of it for steps to
 * end by themselves, then they are told to stop, then what is left is reported as given back. What
 * the store did not take by then is adopted by others, as after a crash.
 */
export async function giveBack(parts: ShutdownParts): Promise<void> {
  const { running, claims, membership, shutdownMs } = parts;
  running.drain();
  await within(parts, claims.close(), shutdownMs * 0.1);
  // What a claim that was under way brought comes too late to be started, and is given back.
  running.scheduleAll();
  if (!(await within(parts, running.emptied(), shutdownMs * 0.5))) {
    running.abortAll();
    if (!(await within(parts, running.emptied(), shutdownMs * 0.2))) {
      running.releaseAll();
      await within(parts, running.emptied(), shutdownMs * 0.1);
    }
  }
  await within(parts, membership.leave(true), shutdownMs * 0.1);
}

/** Whether the promise resolved in time. */
function within(
  { clock, logger }: ShutdownParts,
  promise: Promise<void>,
  ms: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve(false));
    const end = (inTime: boolean): void => {
      timer.cancel();
      resolve(inTime);
    };
    promise.then(
      () => end(true),
      (error: unknown) => {
        // The store is away: what could not be given back is adopted, as after a crash.
        logger.warn('A part of the shutdown failed.', { error: errorText(error) });
        end(false);
      },
    );
  });
}
