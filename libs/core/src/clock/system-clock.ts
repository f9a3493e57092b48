import type { Clock, Timer } from '../ports/index.js';

/** The host's clock. Its timers are detached: none of them keeps the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after(ms: number, fire: () => void): Timer {
    // A delay beyond 2^31 - 1 ms would fire at once; whoever waits that long looks again on the way.
    const handle = setTimeout(fire, Math.min(Math.max(ms, 0), 0x7fff_ffff));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
