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
 * Gives back the sagas of this engine within the time of the shutdown. For half of it, steps may end by
 * themselves; then they are told to stop; then the rest is reported as given back. Sagas whose return
 * the store has not taken by then are adopted by other engines, as after a crash.
 */
export async function giveBack(parts: ShutdownParts): Promise<void> {
  const { running, claims, membership, shutdownMs } = parts;
  running.drain();
  await within(parts, claims.close(), shutdownMs * 0.1);
  // Sagas that were claimed during the shutdown are not started, and are given back.
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
        // The store is away. Sagas that could not be given back are adopted by other engines, as after
        // a crash.
        logger.warn('A part of the shutdown failed.', { error: errorText(error) });
        end(false);
      },
    );
  });
}
