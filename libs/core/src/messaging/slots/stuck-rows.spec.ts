import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';

const grantMissing = Object.assign(new Error('permission denied'), { code: '42501' });

/** A consumer whose store refuses every removal that has one of some messages in it. */
function benchRefusing(refuses: (key: string) => boolean, error = new Error('archive conflict')) {
  const bench = new ConsumerBench();
  const keys = new Map<string, string>();
  const lines: { message: string; fields: unknown }[] = [];
  let calls = 0;
  const store = new Proxy<SlotQueueStore>(bench.outbox, {
    get: (target, name) => {
      if (name === 'complete') {
        const complete: SlotQueueStore['complete'] = async (places) => {
          calls += 1;
          if (places.some(({ seq }) => refuses(keys.get(seq) ?? ''))) throw error;
          return target.complete(places);
        };
        return complete;
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  const quiet = (): void => undefined;
  const start = () => {
    const consumer = bench.consumer({
      store,
      concurrency: 32,
      handle: (row) => {
        keys.set(row.seq, row.message.key);
        return { kind: 'complete' };
      },
      logger: {
        debug: quiet,
        info: quiet,
        warn: (message, fields) => void lines.push({ message, fields }),
        error: quiet,
      },
    });
    return consumer;
  };
  return { bench, start, lines, calls: () => calls };
}

describe('a message that is done and cannot be removed', () => {
  it.each([
    ['fails', new Error('archive conflict')],
    ['is refused', grantMissing],
  ])(
    'keeps nobody from being read, worked on and removed, where its removal %s',
    async (_, error) => {
      let refuse = true;
      const stuck = new Set(Array.from({ length: 7 }, (_, n) => `k${11 * n}`));
      const { bench, start, lines } = benchRefusing((key) => refuse && stuck.has(key), error);
      const consumer = start();
      await consumer.start();
      await bench.write(...Array.from({ length: 100 }, (_, n) => outboxMessage(`k${n}`, 1)));
      await bench.clock.advance(60_000);
      // Also while nothing but they are there.
      expect(await bench.count()).toBe(7);
      expect(consumer.stuck()).toBe(7);
      for (let n = 2; n < 22; n += 1) {
        await bench.write(outboxMessage('k0', n), outboxMessage('fresh', n));
        await bench.clock.advance(100);
      }
      await bench.clock.advance(300_000);
      expect(bench.handled).toHaveLength(140);
      // Those of the key that cannot be removed are all that is left.
      expect(await bench.count()).toBe(27);
      const told = lines.filter(({ message }) => message.includes('while others can'));
      expect(told.length).toBeGreaterThan(0);
      expect(told.length).toBeLessThanOrEqual(8);
      expect(told[0]?.fields).toMatchObject({
        topic: 'orders',
        error: `Error: ${error.message}`,
      });
      refuse = false;
      await bench.clock.advance(30_000);
      expect(await bench.count()).toBe(0);
      expect(bench.handled).toHaveLength(140);
      expect(consumer.problem()).toBeNull();
      expect(consumer.stuck()).toBe(0);
    },
  );

  it('does not make a process unready by itself', async () => {
    const { bench, start } = benchRefusing((key) => key === 'bad');
    const consumer = start();
    await consumer.start();
    await bench.write(outboxMessage('bad', 1));
    await bench.clock.advance(120_000);
    expect(consumer.problem()).toBeNull();
  });

  it('does not keep its slot from others, nor a process from closing', async () => {
    const { bench, start } = benchRefusing((key) => key === 'bad');
    const consumer = start();
    await consumer.start();
    await bench.write(outboxMessage('bad', 1));
    await bench.clock.advance(10_000);
    const other = bench.consumer();
    await other.start();
    await bench.clock.advance(30_000);
    expect(consumer.leases()).toBe(128);
    expect(other.leases()).toBe(128);
    let closed = false;
    void consumer.close(60_000).then(() => (closed = true));
    await bench.clock.advance(1_000);
    expect(closed).toBe(true);
    await bench.clock.advance(10_000);
    expect(await bench.count()).toBe(0);
  });

  it('keeps no memory for what it carries', async () => {
    const { bench, start } = benchRefusing((key) => key === 'bad');
    await start().start();
    const large = new Uint8Array(16 * 1_024 * 1_024);
    for (let n = 0; n < 6; n += 1) {
      await bench.write({ ...outboxMessage('bad', n), payload: large });
      await bench.clock.advance(10_000);
    }
    await bench.write(outboxMessage('good', 1));
    await bench.clock.advance(60_000);
    expect(await bench.count()).toBe(6);
  });
});

it('reads next to nothing, and says so, while nothing that is done can be removed', async () => {
  let broken = true;
  const { bench, start, calls } = benchRefusing(() => broken);
  const consumer = start();
  await consumer.start();
  for (let n = 0; n < 600; n += 1) {
    await bench.write(outboxMessage(`k${n}`, 1));
    await bench.clock.advance(100);
  }
  // One after the other at first, then one buffer of them.
  expect(bench.handled.length).toBeLessThan(150);
  expect(consumer.problem()).toContain('archive conflict');
  expect(calls()).toBeLessThan(100);
  broken = false;
  await bench.clock.advance(30_000);
  expect(bench.handled).toHaveLength(600);
  expect(await bench.count()).toBe(0);
  expect(consumer.problem()).toBeNull();
});
