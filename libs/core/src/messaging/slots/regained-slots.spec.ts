import { describe, expect, it } from 'vitest';
import type { QueuedMessage, SlotQueueStore } from '../../ports/index.js';
import {
  ConsumerBench,
  outboxMessage,
  refusing,
  severable,
  type Severed,
} from '../../testing/index.js';
import { placeOfKey } from '../index.js';
import type { RowOutcome } from './index.js';
import { done, text } from './rows.fixture.js';

const TTL_MS = 3_000;
const settings = { leaseTtlMs: TTL_MS };

/** The first handling of a message goes on until it is made to fail. */
function failsOnce(which: string): {
  handle: (row: QueuedMessage) => RowOutcome | Promise<RowOutcome>;
  fail: () => void;
} {
  let begun = false;
  let fail: () => void = () => undefined;
  return {
    handle: (row) => {
      if (text(row) !== which || begun) return done;
      begun = true;
      return new Promise((_resolve, reject) => (fail = () => reject(new Error('cut off'))));
    },
    fail: () => fail(),
  };
}

/** A consumer that has been started and whose first handling of `k:1` goes on until it is made to fail. */
async function startedAndFailingOnce() {
  const bench = new ConsumerBench();
  const store = severable<SlotQueueStore>(bench.outbox);
  const { handle, fail } = failsOnce('k:1');
  const consumer = bench.consumer({ store: store.value, settings, handle });
  await consumer.start();
  return { bench, store, consumer, fail };
}

/** No heartbeat is answered for longer than a lease lives: the consumer loses its slots, and gains them again. */
async function loseSlots(bench: ConsumerBench, store: Severed<SlotQueueStore>): Promise<void> {
  const answer = store.holdNext('renew');
  await bench.clock.advance(2 * TTL_MS);
  answer();
}

/** Three processes begin with what is there and die, so that the slots of it are suspicious. */
async function dieThreeTimes(bench: ConsumerBench): Promise<void> {
  for (let life = 0; life < 3; life += 1) {
    const dying = severable<SlotQueueStore>(bench.outbox);
    const handle = (): Promise<never> => new Promise<never>(() => undefined);
    await bench.consumer({ store: dying.value, settings, handle }).start();
    await bench.clock.advance(10_000);
    dying.kill();
    await bench.clock.advance(10_000);
  }
}

describe('a slot that a consumer lost and holds again', () => {
  it('keeps the order of a key whose message was worked on all the time and failed', async () => {
    const { bench, store, consumer, fail } = await startedAndFailingOnce();
    await bench.clock.advance(100);
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(100);
    expect(bench.handled).toEqual(['k:1']);
    await loseSlots(bench, store);
    await bench.write(outboxMessage('k', 2), outboxMessage('other', 1));
    await bench.clock.advance(TTL_MS);
    expect(consumer.leases()).toBe(256);
    // Other keys of the process go on meanwhile.
    expect(bench.handled).toEqual(['k:1', 'other:1']);
    fail();
    await bench.clock.advance(10_000);
    expect(bench.handled).toEqual(['k:1', 'other:1', 'k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
  });

  it('reads a message again that failed after the floor of its slot had gone past it', async () => {
    const { bench, store, fail } = await startedAndFailingOnce();
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(100);
    await loseSlots(bench, store);
    // Enough reads and probes for the floor to rise above whatever is not shown.
    for (let n = 0; n < 20; n += 1) {
      await bench.write(outboxMessage(`n${n}`, 1));
      await bench.clock.advance(1_000);
    }
    fail();
    await bench.clock.advance(20_000);
    expect(bench.handled.filter((one) => one === 'k:1')).toHaveLength(2);
    expect(await bench.count()).toBe(0);
  });

  it('takes no row of a read that began before the slot was lost', async () => {
    const { bench, store, consumer, fail } = await startedAndFailingOnce();
    await bench.clock.advance(100);
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(100);
    // This read leaves the first message out, which is worked on, and shows the second.
    const answerRead = store.holdNext('read', 'after');
    await bench.write(outboxMessage('k', 2));
    await bench.clock.advance(100);
    const answerHeartbeat = store.holdNext('renew');
    await bench.clock.advance(2 * TTL_MS);
    expect(consumer.leases()).toBe(0);
    fail();
    await bench.clock.advance(10);
    answerHeartbeat();
    await bench.clock.advance(TTL_MS);
    expect(consumer.leases()).toBe(256);
    answerRead();
    await bench.clock.advance(10_000);
    expect(bench.handled).toEqual(['k:1', 'k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
  });

  it('takes no row of a suspicious slot whose number was noted when the slot was lost', async () => {
    const bench = new ConsumerBench();
    await bench.write(outboxMessage('k', 1));
    await dieThreeTimes(bench);
    bench.handled.length = 0;
    const store = severable<SlotQueueStore>(bench.outbox);
    const answerNote = store.holdNext('noteSuspect', 'after');
    const consumer = bench.consumer({ store: store.value, settings });
    // The first message is put off, because it was noted when the last process died.
    await consumer.start();
    await bench.clock.advance(500);
    await bench.write(outboxMessage('k', 2));
    await bench.clock.advance(1_000);
    const answerHeartbeat = store.holdNext('renew');
    await bench.clock.advance(2 * TTL_MS);
    expect(consumer.leases()).toBe(0);
    expect(bench.handled).toEqual([]);
    answerNote();
    await bench.clock.advance(10);
    answerHeartbeat();
    await bench.clock.advance(120_000);
    expect(bench.handled).toEqual(['k:1', 'k:2']);
  });

  it('keeps the order of a key whose noted message the store does not take as a retry at once', async () => {
    const bench = new ConsumerBench();
    const slotOf = (key: string): number => placeOfKey('', outboxMessage(key, 1).topic, key).slot;
    const [first = '', second = ''] = ['k', 'other'].sort((a, b) => slotOf(a) - slotOf(b));
    await bench.write(outboxMessage(first, 1), outboxMessage(second, 1));
    await dieThreeTimes(bench);
    // The third life worked on one message at a time, in the order of the slots.
    expect(bench.handled.at(-1)).toBe(`${first}:1`);
    bench.handled.length = 0;
    const store = severable<SlotQueueStore>(bench.outbox);
    store.failNext('change', new Error('the database refuses this value'));
    const slow = (): Promise<RowOutcome> =>
      new Promise((resolve) => bench.clock.after(3_000, () => resolve(done)));
    await bench.consumer({ store: store.value, settings, handle: slow }).start();
    await bench.write(outboxMessage(first, 2));
    await bench.clock.advance(120_000);
    expect(bench.handled.filter((one) => one.startsWith(first))).toEqual([
      `${first}:1`,
      `${first}:2`,
    ]);
    expect(await bench.count()).toBe(0);
  });

  it('lets a key go on whose head was removed by the process that held the slot before', async () => {
    const bench = new ConsumerBench();
    const former = severable<SlotQueueStore>(bench.outbox);
    await bench.consumer({ store: former.value, settings }).start();
    await bench.clock.advance(100);
    // It has done its work, and is cut off before it says so.
    const removal = former.holdNext('complete');
    former.holdNext('renew');
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(1_000);
    const consumer = bench.consumer({
      settings,
      handle: (row) =>
        text(row) === 'k:1'
          ? { kind: 'retry', delayMs: 5_000, counts: true, error: new Error('not now') }
          : done,
    });
    await consumer.start();
    await bench.clock.advance(2 * TTL_MS);
    await bench.write(outboxMessage('k', 2));
    await bench.clock.advance(1_000);
    expect(bench.handled).toEqual(['k:1', 'k:1']);
    removal();
    await bench.clock.advance(30_000);
    expect(bench.handled).toEqual(['k:1', 'k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
  });

  it('keeps the order of a key whose retry the store had not taken when the slot was lost', async () => {
    const bench = new ConsumerBench();
    const refuser = refusing<SlotQueueStore>(bench.outbox);
    const store = severable(refuser.value);
    let refused = false;
    const consumer = bench.consumer({
      store: store.value,
      settings,
      handle: (row) => {
        if (text(row) !== 'k:1' || refused) return done;
        refused = true;
        return { kind: 'retry', delayMs: 60_000, counts: true, error: new Error('not now') };
      },
    });
    await consumer.start();
    await bench.clock.advance(100);
    refuser.refuse('change');
    await bench.write(outboxMessage('k', 1));
    // It is tried again after 1, 2, 4, 8 and 16 seconds: the slot is lost and gained in the last pause.
    await bench.clock.advance(17_000);
    await loseSlots(bench, store);
    refuser.grant();
    await bench.write(outboxMessage('k', 2));
    await bench.clock.advance(TTL_MS);
    expect(bench.handled).toEqual(['k:1']);
    await bench.clock.advance(120_000);
    expect(bench.handled).toEqual(['k:1', 'k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
  });
});
