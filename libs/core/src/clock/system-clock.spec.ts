import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from './index.js';

const DAY_MS = 86_400_000;

describe("a timer of the host's clock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([0, 1, 60_000, 24 * DAY_MS, 0x7fff_ffff, 25 * DAY_MS, 3_650 * DAY_MS])(
    'fires once, after %d ms',
    (ms) => {
      let fired = 0;
      systemClock.after(ms, () => (fired += 1));
      if (ms > 0) vi.advanceTimersByTime(ms - 1);
      expect(fired).toBe(0);
      vi.advanceTimersByTime(1);
      expect(fired).toBe(1);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('fires at once when its time is over already', () => {
    let fired = 0;
    systemClock.after(-5, () => (fired += 1));
    vi.advanceTimersByTime(0);
    expect(fired).toBe(1);
  });

  it.each([0, 24, 26, 99])('can be stopped after %d days of a hundred', (days) => {
    let fired = 0;
    const timer = systemClock.after(100 * DAY_MS, () => (fired += 1));
    vi.advanceTimersByTime(days * DAY_MS);
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(100 * DAY_MS);
    expect(fired).toBe(0);
  });
});
