import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../testing/index.js';
import { Suspects } from './suspects.js';

describe('suspects of a crash', () => {
  it('run one at a time, in their order', async () => {
    const [suspects, clock, running] = [new Suspects(), new VirtualClock(), new Set<number>()];
    const seen: number[] = [];
    const work = (i: number) => async (): Promise<number> => {
      running.add(i);
      seen.push(running.size);
      await clock.settle();
      running.delete(i);
      return i;
    };
    const all = [1, 2, 3].map((i) => suspects.alone(work(i), clock, 1_000));
    expect(await Promise.all(all)).toEqual([1, 2, 3]);
    expect(seen).toEqual([1, 1, 1]);
  });

  it('do not wait for ever for one that hangs, and run once it has ended', async () => {
    const [suspects, clock] = [new Suspects(), new VirtualClock()];
    let end: () => void = () => undefined;
    const hanging = suspects.alone(
      () => new Promise<void>((resolve) => (end = resolve)),
      clock,
      1_000,
    );
    const waiting = suspects.alone(() => Promise.resolve('ran'), clock, 1_000);
    await clock.advance(1_000);
    expect(await waiting).toBeNull();
    const next = suspects.alone(() => Promise.resolve('ran'), clock, 1_000);
    await clock.advance(999);
    end();
    expect(await next).toBe('ran');
    await hanging;
  });

  it('go on when one of them fails', async () => {
    const [suspects, clock] = [new Suspects(), new VirtualClock()];
    const failing = suspects.alone(() => Promise.reject(new Error('no')), clock, 1_000);
    await expect(failing).rejects.toThrow('no');
    expect(await suspects.alone(() => Promise.resolve('ran'), clock, 1_000)).toBe('ran');
  });

  it('are remembered as put off until they end, the oldest being forgotten first', () => {
    const suspects = new Suspects();
    suspects.noteRetry('a', false);
    suspects.noteRetry('a', false);
    expect(suspects.retriesOf('a')).toBe(2);
    suspects.noteRetry('a', true);
    expect(suspects.retriesOf('a')).toBe(0);
    suspects.forget('a');
    expect(suspects.retriesOf('a')).toBeNull();
    for (let i = 0; i <= 20_000; i += 1) suspects.noteRetry(`m${i}`, true);
    expect(suspects.retriesOf('m0')).toBeNull();
    expect(suspects.retriesOf('m1')).toBe(0);
  });
});
