import type { Clock } from '../ports/index.js';

/**
 * Whether a promise settles within this many milliseconds. A rejection is not handled here but by the
 * owner of the promise.
 */
export function settlesWithin(
  promise: Promise<unknown>,
  clock: Clock,
  ms: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve(false));
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
