import { expect, it } from 'vitest';
import type { SlotChange, SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';

/** A consumer whose store refuses every batch of changes in which one is refused. */
function benchRefusing(refuses: (change: SlotChange, key: string | undefined) => boolean) {
  const bench = new ConsumerBench();
  const keys = new Map<string, string>();
  let [refused, calls] = [0, 0];
  const store = new Proxy<SlotQueueStore>(bench.outbox, {
    get: (target, name) => {
      if (name === 'change') {
        const change: SlotQueueStore['change'] = async (incarnation, leases, changes) => {
          calls += 1;
          const bad = changes.some((one) =>
            refuses(one, 'place' in one ? keys.get(one.place.seq) : one.key.key),
          );
          if (!bad) return target.change(incarnation, leases, changes);
          refused += 1;
          throw new Error('the database refuses this value');
        };
        return change;
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  return { bench, keys, store, counts: () => ({ refused, calls }) };
}

it('sets aside what the store does not take of one key, and tells it of all others', async () => {
  let refuse = true;
  const { bench, keys, store } = benchRefusing(
    (change, key) => refuse && change.kind === 'dead_letter' && key === 'k13',
  );
  const consumer = bench.consumer({
    store,
    concurrency: 50,
    handle: (row) => {
      keys.set(row.seq, row.message.key);
      return { kind: 'dead_letter', counts: true, error: 'x', reason: 'bad', block: false };
    },
  });
  await bench.write(...Array.from({ length: 50 }, (_, n) => outboxMessage(`k${n}`, 1)));
  await bench.write(outboxMessage('k13', 2), outboxMessage('k14', 2));
  await consumer.start();
  await bench.clock.advance(30_000);
  const dead = async (): Promise<number> =>
    (await bench.outbox.listDeadLetters({ limit: 100 })).length;
  // All but the one at fault and what follows it in its key.
  expect(await dead()).toBe(50);
  expect(bench.handled).not.toContain('k13:2');
  refuse = false;
  await bench.clock.advance(60_000);
  expect(await dead()).toBe(52);
});

it('asks a store that takes nothing seldom, and goes on where it was', async () => {
  let refuse = true;
  const { bench, store, counts } = benchRefusing(() => refuse);
  const consumer = bench.consumer({
    store,
    concurrency: 100,
    handle: () => ({ kind: 'dead_letter', counts: true, error: 'x', reason: 'bad', block: false }),
  });
  await bench.write(...Array.from({ length: 100 }, (_, n) => outboxMessage(`k${n}`, 1)));
  await consumer.start();
  await bench.clock.advance(60_000);
  expect(counts().calls).toBeLessThan(400);
  refuse = false;
  await bench.clock.advance(120_000);
  expect(await bench.outbox.listDeadLetters({ limit: 1_000 })).toHaveLength(100);
});
