import type { Clock, Timer } from '../ports/index.js';

/** The longest that setTimeout waits, 24.8 days; anything longer fires at once. */
const LONGEST_MS = 0x7fff_ffff;

/** The host's clock. Its timers are detached: none of them keeps the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after(ms: number, fire: () => void): Timer {
    let handle = begin(ms);
    function begin(left: number): NodeJS.Timeout {
      const piece = Math.min(Math.max(left, 0), LONGEST_MS);
      const ended = left > piece ? () => void (handle = begin(left - piece)) : fire;
      return setTimeout(ended, piece).unref();
    }
    return { cancel: () => clearTimeout(handle) };
  },
};
