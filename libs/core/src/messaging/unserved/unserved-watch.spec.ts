import { describe, expect, it } from 'vitest';
import type { UnservedQueue } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, VirtualClock } from '../../testing/index.js';
import { UnservedWatch, type UnservedSource } from './index.js';

function watchOf(...sources: readonly UnservedSource[]) {
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const told: (readonly UnservedQueue[])[] = [];
  const watch = new UnservedWatch({
    sources,
    clock,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (text) => void warnings.push(text),
      error: () => undefined,
    },
    observer: (queues) => void told.push(queues),
  });
  watch.start();
  return { clock, warnings, told, watch };
}

const group: UnservedQueue = { kind: 'group', name: 'billing', oldestMs: 90_000 };

describe('the watch over queues that nobody serves', () => {
  it('names the queue and the remedy once, and again only after an hour', async () => {
    const { clock, warnings, told, watch } = watchOf(async () => [group]);
    await clock.advance(70_000);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("'billing'");
    expect(warnings[0]).toContain('npx sagaz groups remove billing');
    expect(watch.current).toEqual([group]);
    expect(told.at(-1)).toEqual([group]);
    await clock.advance(1_800_000);
    expect(warnings).toHaveLength(1);
    await clock.advance(1_900_000);
    expect(warnings).toHaveLength(2);
  });

  it('says nothing of a queue that is without a process for as long as a deployment takes', async () => {
    let unserved = true;
    const { clock, warnings, watch } = watchOf(async () => (unserved ? [group] : []));
    await clock.advance(50_000);
    unserved = false;
    await clock.advance(30_000);
    unserved = true;
    await clock.advance(50_000);
    expect(warnings).toEqual([]);
    expect(watch.current).toEqual([]);
  });

  it('reports the queues of one source where another is refused to this process', async () => {
    const refusal = Object.assign(new Error('permission denied'), { code: '42501' });
    let asked = 0;
    const refused = (): Promise<never> => {
      asked += 1;
      return Promise.reject(refusal);
    };
    const { clock, warnings, watch } = watchOf(refused, async () => [group]);
    await clock.advance(600_000);
    expect(watch.current).toEqual([group]);
    expect(warnings).toHaveLength(1);
    expect(asked, 'the server, which may log each refusal, is seldom asked').toBeLessThan(3);
  });

  it('goes on after a look that failed, and ends when it is stopped', async () => {
    let looks = 0;
    const { clock, watch } = watchOf(async () => {
      looks += 1;
      if (looks === 1) throw new Error('away');
      return [group];
    });
    await clock.advance(120_000);
    expect(watch.current).toEqual([group]);
    await watch.stop();
    const before = looks;
    await clock.advance(600_000);
    expect(looks).toBe(before);
  });
});

describe('a queue of slots', () => {
  it('is unserved while messages wait and no member lives', async () => {
    const bench = new ConsumerBench();
    expect(await bench.outbox.unserved()).toBeNull();
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(5_000);
    expect(await bench.outbox.unserved()).toBe(5_000);
    const consumer = bench.consumer();
    await consumer.start();
    await bench.clock.advance(100);
    expect(await bench.outbox.unserved()).toBeNull();
  });
});
