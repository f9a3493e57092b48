import { expect, it } from 'vitest';
import type { SlotChange, SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, Gate, outboxMessage, severable } from '../../testing/index.js';
import type { RowOutcome } from './index.js';
import { done } from './rows.fixture.js';

/** A consumer whose store refuses every batch of changes in which one is refused. */
function benchRefusing(refuses: (change: SlotChange, key: string | undefined) => boolean) {
  const bench = new ConsumerBench();
  const keys = new Map<string, string>();
  let [refused, calls] = [0, 0];
  const hook: { before: (changes: readonly SlotChange[]) => Promise<void> } = {
    before: () => Promise.resolve(),
  };
  const store = new Proxy<SlotQueueStore>(bench.outbox, {
    get: (target, name) => {
      if (name === 'change') {
        const change: SlotQueueStore['change'] = async (incarnation, leases, changes) => {
          calls += 1;
          await hook.before(changes);
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
  return { bench, keys, store, hook, counts: () => ({ refused, calls }) };
}

/** Handling that fails once, to be repeated after so many milliseconds, and then completes everything. */
function failingOnce(delayMs: number): () => RowOutcome {
  let failed = false;
  return () => {
    if (failed) return done;
    failed = true;
    return { kind: 'retry', delayMs, counts: true, error: 'not now' };
  };
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

it('writes a change that a key gets while its delayed change is being tried again', async () => {
  const bench = new ConsumerBench();
  const store = severable<SlotQueueStore>(bench.outbox);
  const consumer = bench.consumer({ store: store.value, handle: failingOnce(2_000) });
  await consumer.start();
  await bench.write(outboxMessage('k', 1));
  await bench.clock.advance(100);
  // The second message cannot be held, and the next try, a second later, is not answered.
  store.failNext('change', new Error('the database refuses this value'));
  await bench.write(outboxMessage('k', 2));
  await bench.clock.advance(500);
  const answer = store.holdNext('change');
  await bench.clock.advance(1_500);
  // Meanwhile the first message is done, so it must be removed and the key must go on.
  expect(bench.handled).toEqual(['k:1', 'k:1']);
  answer();
  await bench.clock.advance(10_000);
  expect(bench.handled).toEqual(['k:1', 'k:1', 'k:2']);
  expect(await bench.count()).toBe(0);
});

it.each([
  ['has been written', 10_000, false],
  ['is refused', 500, true],
])('lets a consumer close while a delayed change %s', async (_name, withinMs, goesOn) => {
  let refuse = true;
  const { bench, store } = benchRefusing(({ kind }) => refuse && kind === 'release');
  const consumer = bench.consumer({ store, handle: failingOnce(500) });
  await consumer.start();
  await bench.write(outboxMessage('k', 1));
  await bench.clock.advance(100);
  await bench.write(outboxMessage('k', 2));
  // The first message is done, and the second cannot be released: no message is in memory.
  await bench.clock.advance(1_000);
  expect(bench.handled).toEqual(['k:1', 'k:1']);
  refuse = goesOn;
  let closed = false;
  void consumer.close(withinMs).then(() => (closed = true));
  await bench.clock.advance(5_000);
  expect(closed).toBe(true);
  const { byStatus } = await bench.outbox.stats();
  expect([...byStatus.keys()]).toEqual([goesOn ? 'held' : 'pending']);
});

it('writes the delayed changes of many keys together once the store takes one of them', async () => {
  let refuse = true;
  const { bench, store, counts } = benchRefusing(() => refuse);
  const consumer = bench.consumer({
    store,
    concurrency: 100,
    handle: () => ({ kind: 'dead_letter', counts: true, error: 'x', reason: 'bad', block: false }),
  });
  await bench.write(...Array.from({ length: 100 }, (_, n) => outboxMessage(`k${n}`, 1)));
  await consumer.start();
  await bench.clock.advance(900_000);
  const { calls } = counts();
  refuse = false;
  await bench.clock.advance(60_000);
  expect(await bench.outbox.listDeadLetters({ limit: 1_000 })).toHaveLength(100);
  expect(counts().calls - calls).toBeLessThan(15);
});

it('writes changes of other keys between its tries of those that the store refuses', async () => {
  const { bench, keys, store, counts, hook } = benchRefusing(
    (_, key) => key?.startsWith('bad') === true,
  );
  const consumer = bench.consumer({
    store,
    concurrency: 200,
    handle: (row) => {
      keys.set(row.seq, row.message.key);
      return { kind: 'dead_letter', counts: true, error: 'x', reason: 'bad', block: false };
    },
  });
  await bench.write(...Array.from({ length: 150 }, (_, n) => outboxMessage(`bad${n}`, 1)));
  await consumer.start();
  await bench.clock.advance(900_000);
  // The store hangs until all delayed changes are due.
  const hang = new Gate();
  hook.before = () => hang.opened;
  await bench.write(outboxMessage('first', 1));
  await bench.clock.advance(120_000);
  await bench.write(outboxMessage('good', 1));
  await bench.clock.advance(1_000);
  const dead = async (): Promise<number> =>
    (await bench.outbox.listDeadLetters({ limit: 100 })).length;
  expect(await dead()).toBe(0);
  const { calls } = counts();
  let callsBefore = Infinity;
  hook.before = (changes) => {
    const good = changes.some((one) => 'place' in one && keys.get(one.place.seq) === 'good');
    if (good) callsBefore = Math.min(callsBefore, counts().calls - calls);
    return Promise.resolve();
  };
  hang.open();
  await bench.clock.advance(30_000);
  expect(await dead()).toBe(2);
  // Not the 150 and more of a whole round.
  expect(callsBefore).toBeLessThan(10);
});
