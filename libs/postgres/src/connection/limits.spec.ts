import { DEFAULT_ENGINE_SETTINGS, DEFAULT_SLOT_SETTINGS } from '@sagaz/core';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { answeredWithin } from './answered-within.js';
import { NoAnswerError } from './connection.errors.js';
import { beatLimit, LIMITS } from './limits.js';

describe('the limits of the uses of a connection', () => {
  it('leave time for another try before what depends on them is over', () => {
    for (const ttlMs of [500, 1_000, 3_000, 10_000, 15_000, 3_600_000]) {
      // A round begins up to a quarter of a lease after the last one that went through.
      expect(beatLimit(ttlMs) + ttlMs / 4).toBeLessThan(ttlMs);
    }
    expect(LIMITS.locked).toBeLessThan(DEFAULT_ENGINE_SETTINGS.stuckMs);
    expect(LIMITS.flush).toBeLessThan(DEFAULT_ENGINE_SETTINGS.stuckMs);
    expect(LIMITS.work).toBeLessThan(DEFAULT_SLOT_SETTINGS.stallAfterMs);
    expect(LIMITS.publish).toBeLessThan(5_000);
    expect(LIMITS.health).toBeLessThan(3_000);
  });
});

describe('an answer within a limit', () => {
  it('is given on, with what it was', async () => {
    const abandon = vi.fn<() => void>();
    expect(await answeredWithin(1_000, Promise.resolve(7), abandon)).toBe(7);
    const error = new Error('refused');
    await expect(answeredWithin(1_000, Promise.reject(error), abandon)).rejects.toBe(error);
    expect(abandon).not.toHaveBeenCalled();
  });

  it('that does not come is an error, after the connection was thrown away', async () => {
    const order: string[] = [];
    const never = answeredWithin(5, new Promise(() => undefined), () => order.push('abandoned'));
    await never.catch((error: unknown) => order.push((error as Error).constructor.name));
    expect(order).toEqual(['abandoned', NoAnswerError.name]);
  });

  it('that came while the process stood still is not missed', async () => {
    const abandon = vi.fn<() => void>();
    const answer = sleep(100, 'in time');
    const within = answeredWithin(120, answer, abandon);
    // Both timers are due before anything else can run.
    const until = performance.now() + 600;
    while (performance.now() < until);
    expect(await within).toBe('in time');
    // An answer that lies in a socket is read only after all timers that are due.
    const late = answeredWithin(
      10,
      new Promise((resolve) => setTimeout(() => setImmediate(() => setTimeout(resolve, 20)), 5)),
      abandon,
    );
    const end = performance.now() + 300;
    while (performance.now() < end);
    await late;
    expect(abandon).not.toHaveBeenCalled();
  });
});
