import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../testing/index.js';
import { Timers } from './timers.js';

describe('The timers of an engine', () => {
  it('ring in the order of their times, whichever were turned off, in whatever order', async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      let state = seed;
      // Numbers that look random and are the same in every run.
      const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
      const clock = new VirtualClock();
      const timers = new Timers(clock);
      const rung: number[] = [];
      const expected = new Map<number, number>();
      const offs: (() => void)[] = [];
      for (let n = 0; n < 200; n += 1) {
        const at = Math.floor(random() * 1_000);
        expected.set(n, at);
        offs.push(timers.set(at, () => rung.push(n)));
      }
      for (let n = 0; n < 200; n += 1) {
        if (random() < 0.5) continue;
        offs[n]?.();
        offs[n]?.();
        expected.delete(n);
      }
      expect(timers.size).toBe(expected.size);
      await clock.advance(1_000);
      expect([...rung].sort((a, b) => a - b)).toEqual([...expected.keys()]);
      const times = rung.map((n) => expected.get(n));
      expect(times).toEqual([...times].sort((a, b) => (a ?? 0) - (b ?? 0)));
      expect(timers.size).toBe(0);
    }
  });

  it('may turn each other off while they ring', async () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const rung: string[] = [];
    const offs: (() => void)[] = [];
    offs.push(
      timers.set(10, () => {
        rung.push('first');
        for (const off of offs) off();
        timers.set(10, () => rung.push('third'));
      }),
      timers.set(10, () => rung.push('second')),
    );
    await clock.advance(100);
    expect(rung).toEqual(['first', 'third']);
  });

  it('let go of what a timer would have rung for as soon as it is turned off', () => {
    const timers = new Timers(new VirtualClock());
    for (let n = 0; n < 10_000; n += 1) timers.set(3_600_000 - n, () => undefined)();
    expect(timers.size).toBe(0);
  });

  it('ring no more once they are closed, also those that are set afterwards', async () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const rung: number[] = [];
    timers.set(10, () => rung.push(1));
    timers.close();
    timers.set(10, () => rung.push(2))();
    await clock.advance(100);
    expect(rung).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
