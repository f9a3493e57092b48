import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, severable } from '../../testing/index.js';
import type { SlotConsumer } from './index.js';
import { done, text } from './rows.fixture.js';

function total(consumers: readonly SlotConsumer[]): number {
  return consumers.reduce((sum, consumer) => sum + consumer.leases(), 0);
}

describe('shares of the slots', () => {
  it('are fair among those that live, and stay where they are while nobody comes or goes', async () => {
    const bench = new ConsumerBench();
    const [a, b, c] = [bench.consumer(), bench.consumer(), bench.consumer()];
    await a.start();
    await bench.clock.advance(1_000);
    expect(a.leases()).toBe(256);
    await b.start();
    await c.start();
    await bench.clock.advance(30_000);
    expect([a, b, c].map((consumer) => consumer.leases()).sort()).toEqual([84, 86, 86]);
    await bench.clock.advance(60_000);
    expect(total([a, b, c])).toBe(256);
    const before = [a, b, c].map((consumer) => consumer.leases());
    await bench.clock.advance(60_000);
    expect([a, b, c].map((consumer) => consumer.leases())).toEqual(before);
  });

  it('of one that goes come to the others, at once when it says so', async () => {
    const bench = new ConsumerBench();
    const [a, b] = [bench.consumer(), bench.consumer()];
    await a.start();
    await b.start();
    await bench.clock.advance(30_000);
    expect([a.leases(), b.leases()]).toEqual([128, 128]);
    await bench.clock.until(b.close(1_000));
    await bench.clock.advance(4_000);
    expect(a.leases()).toBe(256);
  });

  it('of one that died come to the others when its lease is over, and not before', async () => {
    const bench = new ConsumerBench();
    const dying = severable<SlotQueueStore>(bench.outbox);
    const [a, b] = [bench.consumer(), bench.consumer({ store: dying.value })];
    await a.start();
    await b.start();
    await bench.clock.advance(30_000);
    dying.kill();
    await bench.clock.advance(5_000);
    expect(a.leases()).toBe(128);
    await bench.clock.advance(10_000);
    expect(a.leases()).toBe(256);
  });

  it('are given back only when nothing of the slot is under way', async () => {
    const bench = new ConsumerBench();
    let end: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (end = resolve));
    let running = 0;
    const a = bench.consumer({
      concurrency: 300,
      handle: async () => {
        running += 1;
        await gate;
        running -= 1;
        return done;
      },
    });
    await a.start();
    await bench.write(...Array.from({ length: 200 }, (_, n) => outboxMessage(`k${n}`, n)));
    await bench.clock.advance(100);
    expect(running).toBe(200);
    const b = bench.consumer();
    await b.start();
    await bench.clock.advance(30_000);
    expect(bench.handled).toHaveLength(200);
    end();
    await bench.clock.advance(30_000);
    expect([a.leases(), b.leases()]).toEqual([128, 128]);
    expect(bench.handled).toHaveLength(200);
  });
});

describe('a consumer', () => {
  it('works on different keys at once and on one key in order, one at a time', async () => {
    const bench = new ConsumerBench();
    const running = new Map<string, number>();
    let most = 0;
    const consumer = bench.consumer({
      concurrency: 3,
      handle: async (row) => {
        const { key } = row.message;
        running.set(key, (running.get(key) ?? 0) + 1);
        expect(running.get(key)).toBe(1);
        most = Math.max(
          most,
          [...running.values()].reduce((sum, count) => sum + count, 0),
        );
        await new Promise<void>((resolve) => bench.clock.after(10, resolve));
        running.set(key, 0);
        return done;
      },
    });
    await consumer.start();
    await bench.write(...Array.from({ length: 30 }, (_, n) => outboxMessage(`k${n % 5}`, n)));
    await bench.clock.advance(1_000);
    expect(most).toBe(3);
    for (let k = 0; k < 5; k += 1) {
      const mine = bench.handled.filter((body) => body.startsWith(`k${k}:`));
      expect(mine).toEqual([0, 1, 2, 3, 4, 5].map((n) => `k${k}:${n * 5 + k}`));
    }
  });

  it('takes a row no newcomer may overtake only from a read that began after its release', async () => {
    const bench = new ConsumerBench();
    const store = severable<SlotQueueStore>(bench.outbox);
    let failing = true;
    const consumer = bench.consumer({
      store: store.value,
      handle: (row) =>
        text(row) === 'k:1' && failing
          ? { kind: 'retry', delayMs: 1_000, counts: true, error: 'no' }
          : done,
    });
    await consumer.start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.advance(500);
    failing = false;
    // A newcomer; the read that shows it is answered only after the release of what is aside.
    const answer = store.holdNext('read', 'after');
    await bench.write(outboxMessage('k', 3));
    await bench.clock.advance(1_500);
    expect(bench.handled).toEqual(['k:1', 'k:1']);
    answer();
    await bench.clock.advance(100);
    expect(bench.handled).toEqual(['k:1', 'k:1', 'k:2', 'k:3']);
  });

  it('takes nothing of a slot before it knows which of its keys are held back', async () => {
    const bench = new ConsumerBench();
    const first = severable<SlotQueueStore>(bench.outbox);
    const refusing = bench.consumer({
      store: first.value,
      handle: () => ({ kind: 'retry', delayMs: 120_000, counts: true, error: 'no' }),
    });
    await refusing.start();
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(1_000);
    first.kill();
    await bench.write(outboxMessage('k', 2), outboxMessage('other', 1));
    const store = severable<SlotQueueStore>(bench.outbox);
    const answer = store.holdNext('heldKeys');
    const heir = bench.consumer({ store: store.value });
    await heir.start();
    await bench.clock.advance(60_000);
    expect(heir.leases()).toBe(256);
    expect(bench.handled).toEqual(['k:1']);
    answer();
    await bench.clock.advance(1_000);
    expect(bench.handled).toEqual(['k:1', 'other:1']);
    await bench.clock.advance(120_000);
    expect(bench.handled).toEqual(['k:1', 'other:1', 'k:1', 'k:2']);
  });

  it('goes on where it was when the store was away, and counts nothing against anybody', async () => {
    const bench = new ConsumerBench();
    const store = severable<SlotQueueStore>(bench.outbox);
    const consumer = bench.consumer({ store: store.value });
    await consumer.start();
    await bench.clock.advance(1_000);
    for (const method of ['read', 'renew', 'promote', 'probeFloor', 'complete'] as const) {
      store.failNext(method, new Error(`${method} is away`));
    }
    await bench.write(outboxMessage('a', 1), outboxMessage('b', 1));
    await bench.clock.advance(20_000);
    expect([...new Set(bench.handled)].sort()).toEqual(['a:1', 'b:1']);
    expect(bench.handled).toHaveLength(2);
    expect(await bench.count()).toBe(0);
    expect(consumer.problem()).toBeNull();
  });

  it('keeps nobody waiting when its first contact with the store fails', async () => {
    const bench = new ConsumerBench();
    const store = severable<SlotQueueStore>(bench.outbox);
    store.failNext('join', new Error('not up yet'));
    const consumer = bench.consumer({ store: store.value });
    await consumer.start();
    await bench.clock.settle();
    expect(consumer.problem()).toContain('not up yet');
    await bench.clock.advance(5_000);
    expect(consumer.problem()).toBeNull();
    expect(consumer.leases()).toBe(256);
  });

  it('may start when its process is old already: it counts no progress from before its start', async () => {
    const bench = new ConsumerBench();
    await bench.clock.advance(3_600_000);
    const consumer = bench.consumer();
    await consumer.start();
    expect(consumer.problem()).toBeNull();
    await bench.clock.settle();
    expect(consumer.problem()).toBeNull();
    expect(consumer.leases()).toBe(256);
  });

  it('gives its slots up when its work shows no progress, and tells whoever works on them', async () => {
    const bench = new ConsumerBench();
    const signals: AbortSignal[] = [];
    const stuck = bench.consumer({
      concurrency: 1,
      patienceMs: 60_000,
      handle: (_row, signal) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    });
    await stuck.start();
    await bench.write(outboxMessage('a', 1), outboxMessage('b', 1));
    await bench.clock.advance(50_000);
    expect(stuck.problem()).toBeNull();
    expect(signals[0]?.aborted).toBe(false);
    await bench.clock.advance(60_000);
    expect(stuck.problem()).toContain('no progress');
    expect(signals[0]?.aborted).toBe(true);
    const healthy = bench.consumer();
    await healthy.start();
    await bench.clock.advance(10_000);
    expect(await bench.count()).toBe(0);
  });

  it('ends what it has begun when it closes, and leaves the rest to others', async () => {
    const bench = new ConsumerBench();
    let end: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (end = resolve));
    const consumer = bench.consumer({
      concurrency: 2,
      handle: async () => {
        await gate;
        return done;
      },
    });
    await consumer.start();
    await bench.write(...[1, 2, 3, 4].map((n) => outboxMessage(`k${n}`, n)));
    await bench.clock.advance(100);
    const closing = consumer.close(5_000);
    end();
    await bench.clock.settle();
    await closing;
    expect(bench.handled).toHaveLength(2);
    expect(await bench.count()).toBe(2);
    const next = bench.consumer();
    await next.start();
    await bench.clock.advance(1_000);
    expect(next.leases()).toBe(256);
    expect(await bench.count()).toBe(0);
  });

  it('closes within its time though a handler never ends, and keeps that slot from others', async () => {
    const bench = new ConsumerBench();
    const consumer = bench.consumer({ handle: () => new Promise(() => undefined) });
    await consumer.start();
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(100);
    await bench.clock.until(consumer.close(3_000), 4_000);
    const next = bench.consumer();
    await next.start();
    await bench.clock.advance(1_000);
    // It still counts the one that has gone, whose slot is still its own.
    expect(next.leases()).toBe(128);
    expect(bench.handled).toEqual(['a:1']);
    await bench.clock.advance(20_000);
    expect(next.leases()).toBe(256);
    expect(bench.handled).toEqual(['a:1', 'a:1']);
  });
});

describe('the memory of a consumer', () => {
  it('holds a few large messages at a time', async () => {
    const bench = new ConsumerBench();
    const mib = 1_024 * 1_024;
    // Rows in memory share their payload, so that this spec holds no gigabytes itself.
    const large = new Uint8Array(16 * mib);
    const messages = Array.from({ length: 40 }, (_, n) => ({
      ...outboxMessage(`k${n}`, n),
      payload: large,
    }));
    let [held, most] = [0, 0];
    const store = new Proxy<SlotQueueStore>(bench.outbox, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (name === 'read') {
          const read: SlotQueueStore['read'] = async (request) => {
            const result = await target.read(request);
            held += result.rows.length;
            most = Math.max(most, held);
            return result;
          };
          return read;
        }
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    await bench.write(outboxMessage('small', 1));
    const consumer = bench.consumer({
      store,
      concurrency: 2,
      handle: async () => {
        await new Promise<void>((resolve) => bench.clock.after(10, resolve));
        held -= 1;
        return done;
      },
    });
    await consumer.start();
    await bench.clock.advance(1_000);
    await bench.write(...messages.slice(0, 4));
    await bench.clock.advance(1_000);
    most = 0;
    await bench.write(...messages.slice(4));
    await bench.clock.advance(5_000);
    expect(await bench.count()).toBe(0);
    // 64 MiB, and the row that brought them to that.
    expect(most).toBeLessThanOrEqual(5);
  });
});
