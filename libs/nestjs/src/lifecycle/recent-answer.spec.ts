import { VirtualClock } from '@sagaz/core/testing';
import { describe, expect, it } from 'vitest';
import { RecentAnswer } from './recent-answer.js';

interface Question {
  answer(value: number): void;
  fail(error: Error): void;
}

function bench() {
  const clock = new VirtualClock();
  const asked: Question[] = [];
  const failures: unknown[] = [];
  const recent = new RecentAnswer(
    () =>
      new Promise<number>((answer, fail) => {
        asked.push({ answer, fail });
      }),
    { clock, keepMs: 5_000, withinMs: 2_000, failed: (error) => failures.push(error) },
  );
  return { clock, asked, failures, recent };
}

const is = (value: number) => ({ kind: 'answer', value });
const none = (message: string) => ({ kind: 'none', error: new Error(message) });

describe('a question to a server that many ask', () => {
  it('is asked once for all who ask meanwhile, and its answer given out for a while', async () => {
    const { clock, asked, recent } = bench();
    const both = [recent.now(), recent.now()];
    asked[0]?.answer(7);
    expect(await Promise.all(both)).toEqual([is(7), is(7)]);
    await clock.advance(4_999);
    expect(await recent.now()).toEqual(is(7));
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    const again = recent.now();
    asked[1]?.answer(8);
    expect(await again).toEqual(is(8));
  });

  it('is waited for a bounded time, and not asked a second time while the first is under way', async () => {
    const { clock, asked, failures, recent } = bench();
    for (let scrape = 0; scrape < 5; scrape += 1) {
      const waiting = recent.now();
      await clock.advance(2_000);
      expect(await waiting).toEqual(none('no answer within 2000 ms'));
    }
    expect(asked).toHaveLength(1);
    expect(failures, 'told once').toEqual([new Error('no answer within 2000 ms')]);
    asked[0]?.answer(9);
    await clock.advance(0);
    expect(await recent.now(), 'what came late is an answer').toEqual(is(9));
    expect(clock.pending, 'no timer is left behind').toBe(0);
  });

  it('may fail: there is no answer then, and the next who asks asks again', async () => {
    const { asked, failures, recent } = bench();
    for (const round of [0, 1]) {
      const waiting = recent.now();
      asked[round]?.fail(new Error('away'));
      expect(await waiting).toEqual(none('away'));
    }
    expect(failures).toHaveLength(1);
    const well = recent.now();
    asked[2]?.answer(1);
    expect(await well).toEqual(is(1));
  });
});
