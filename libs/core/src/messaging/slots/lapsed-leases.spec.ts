import { describe, expect, it } from 'vitest';
import type { QueuedMessage, SlotLease, SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, severable } from '../../testing/index.js';
import { placeOfKey, type RowOutcome } from '../index.js';
import { done, text } from './rows.fixture.js';

const TTL_MS = 3_000;
const settings = { leaseTtlMs: TTL_MS };

function slotOf(key: string): number {
  const { tenant, topic } = outboxMessage(key, 1);
  return placeOfKey(tenant, topic, key).slot;
}

/** How many crashes whoever takes over now finds in each slot. */
async function crashes(bench: ConsumerBench): Promise<Map<number, number>> {
  await bench.clock.advance(60_000);
  await bench.outbox.join('last', TTL_MS);
  const leases = await bench.outbox.acquire('last', TTL_MS, 256);
  return new Map(leases.map((lease) => [lease.slot, lease.crashes]));
}

/** Two consumers that share the slots. The second reads nothing, so it clears no suspicion either. */
async function pair(bench: ConsumerBench, handle?: () => Promise<RowOutcome>) {
  const [stopped, heir] = [
    severable<SlotQueueStore>(bench.outbox),
    severable<SlotQueueStore>(bench.outbox),
  ];
  const first = bench.consumer({
    store: stopped.value,
    settings,
    ...(handle === undefined ? {} : { handle }),
  });
  await first.start();
  await bench.clock.advance(1_000);
  heir.holdNext('read');
  const second = bench.consumer({ store: heir.value, settings });
  await second.start();
  await bench.clock.advance(10_000);
  expect([first.leases(), second.leases()]).toEqual([128, 128]);
  return { stopped, heir, first, second };
}

/** Owners that take all slots one after the other and never renew them; the leases of the last one. */
async function lapses(bench: ConsumerBench, count: number): Promise<readonly SlotLease[]> {
  let leases: readonly SlotLease[] = [];
  for (let n = 1; n <= count; n += 1) {
    await bench.outbox.join(`owner ${n}`, TTL_MS);
    leases = await bench.outbox.acquire(`owner ${n}`, TTL_MS, 256);
    if (n < count) await bench.clock.advance(2 * TTL_MS);
  }
  return leases;
}

describe('a process that lost its leases and lives', () => {
  it('takes back the crashes that were counted for them', async () => {
    const bench = new ConsumerBench();
    const { stopped, heir, second } = await pair(bench);
    const renewed = stopped.holdNext('renew');
    await bench.clock.advance(4 * TTL_MS);
    expect(second.leases()).toBe(256);
    renewed();
    await bench.clock.advance(10);
    heir.kill();
    stopped.kill();
    // Only the death of the second one counts.
    expect(new Set((await crashes(bench)).values())).toEqual(new Set([1]));
  });

  it('leaves a crash counted while a message of the slot is in hand, and takes it back after', async () => {
    for (const ends of [false, true]) {
      const bench = new ConsumerBench();
      let end: (outcome: RowOutcome) => void = () => undefined;
      const { stopped, heir, second } = await pair(
        bench,
        () => new Promise((resolve) => (end = resolve)),
      );
      const keys = new Map(Array.from({ length: 80 }, (_, n) => [slotOf(`k${n}`), `k${n}`]));
      await bench.write(...[...keys.values()].map((key) => outboxMessage(key, 1)));
      await bench.clock.advance(1_000);
      const inHand = new Set(bench.handled.map((body) => slotOf(body.split(':')[0] ?? '')));
      const last = slotOf(bench.handled.at(-1)?.split(':')[0] ?? '');
      expect(inHand.size).toBeGreaterThan(1);
      const renewed = stopped.holdNext('renew');
      await bench.clock.advance(4 * TTL_MS);
      expect(second.leases()).toBe(256);
      stopped.holdNext('read');
      if (ends) end({ kind: 'again' });
      await bench.clock.advance(1);
      renewed();
      await bench.clock.advance(10);
      heir.kill();
      stopped.kill();
      const found = await crashes(bench);
      expect(found.get(last)).toBe(ends ? 1 : 2);
      for (const [slot, count] of found)
        if (slot !== last) expect(count).toBe(inHand.has(slot) ? 2 : 1);
    }
  });

  it('takes no slots of others that may be back soon, too', async () => {
    const bench = new ConsumerBench();
    const { stopped, heir, first, second } = await pair(bench);
    const answers = [stopped.holdNext('renew'), heir.holdNext('renew')] as const;
    await bench.clock.advance(4 * TTL_MS);
    expect([first.leases(), second.leases()]).toEqual([0, 0]);
    answers[0]();
    await bench.clock.advance(TTL_MS / 5);
    answers[1]();
    await bench.clock.advance(TTL_MS / 5);
    expect([first.leases(), second.leases()]).toEqual([128, 128]);
    // Somebody who does not come back is not waited for.
    heir.kill();
    await bench.clock.advance(3 * TTL_MS);
    expect(first.leases()).toBe(256);
  });
});

describe('a slot whose owner before turns out to live', () => {
  it('is trusted again without having run empty', async () => {
    const bench = new ConsumerBench();
    const lapsed = await lapses(bench, 2);
    await bench.clock.advance(2 * TTL_MS);
    await bench.write(...[1, 2, 3, 4].map((n) => outboxMessage(`k${n}`, n)));
    const handle = () => new Promise<never>(() => undefined);
    await bench.consumer({ settings, handle }).start();
    await bench.clock.advance(5_000);
    expect(bench.handled).toHaveLength(1);
    await bench.outbox.retractCrashes(lapsed);
    await bench.clock.advance(TTL_MS);
    expect(bench.handled).toHaveLength(4);
  });

  it('has no attempt counted against the message that was noted, which waits no longer', async () => {
    for (const lives of [true, false]) {
      const bench = new ConsumerBench();
      await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
      const lapsed = await lapses(bench, 3);
      const lease = lapsed.find(({ slot }) => slot === slotOf('k'));
      if (lease === undefined) throw new Error('All slots were free.');
      const windows = [{ slot: lease.slot, floor: '0' }];
      const { rows } = await bench.outbox.read({
        windows,
        inFlight: [],
        perSlot: 1,
        limit: 1,
        bytes: 1,
      });
      await bench.outbox.noteSuspect('owner 3', lease, rows[0]?.seq ?? '');
      await bench.clock.advance(2 * TTL_MS);
      const attempts: number[] = [];
      const handle = (row: QueuedMessage): RowOutcome => (attempts.push(row.attempts), done);
      await bench.consumer({ settings, handle }).start();
      await bench.clock.advance(1_000);
      if (lives) await bench.outbox.retractCrashes(lapsed);
      await bench.clock.advance(TTL_MS);
      expect(attempts).toEqual(lives ? [0, 0] : []);
      await bench.clock.advance(60_000);
      expect(bench.handled).toEqual(['k:1', 'k:2']);
      expect(attempts).toEqual(lives ? [0, 0] : [1, 0]);
    }
  });

  it('counts nothing against the message in hand when the slot comes back to the same process', async () => {
    const bench = new ConsumerBench();
    await lapses(bench, 2);
    await bench.clock.advance(2 * TTL_MS);
    await bench.write(outboxMessage('k', 1));
    const attempts: number[] = [];
    const store = severable<SlotQueueStore>(bench.outbox);
    let end: (outcome: RowOutcome) => void = () => undefined;
    const handle = (row: QueuedMessage): RowOutcome | Promise<RowOutcome> => {
      attempts.push(row.attempts);
      return attempts.length > 1 ? done : new Promise((resolve) => (end = resolve));
    };
    const consumer = bench.consumer({ store: store.value, settings, handle });
    await consumer.start();
    await bench.clock.advance(1_000);
    expect(attempts).toEqual([0]);
    const renewed = store.holdNext('renew');
    await bench.clock.advance(2 * TTL_MS);
    expect(consumer.leases()).toBe(0);
    renewed();
    await bench.clock.advance(1_000);
    end({ kind: 'again' });
    await bench.clock.advance(2_000);
    expect(attempts).toEqual([0, 0]);
    expect(await bench.count()).toBe(0);
  });
});

describe('messages of suspicious slots', () => {
  it('do not wait for one that was dropped with its slot before it was begun', async () => {
    const bench = new ConsumerBench();
    const lapsed = await lapses(bench, 2);
    const trusted = lapsed.find(({ slot }) => slot === slotOf('trusted'));
    if (trusted === undefined) throw new Error('All slots were free.');
    await bench.outbox.noteSuspect('owner 2', trusted, null);
    await bench.clock.advance(2 * TTL_MS);
    const store = severable<SlotQueueStore>(bench.outbox);
    let end: (outcome: RowOutcome) => void = () => undefined;
    const consumer = bench.consumer({
      store: store.value,
      settings,
      concurrency: 1,
      handle: (row) =>
        text(row) === 'trusted:1' ? new Promise((resolve) => (end = resolve)) : done,
    });
    await bench.write(outboxMessage('trusted', 1), outboxMessage('k', 1));
    await consumer.start();
    await bench.clock.advance(1_000);
    expect(bench.handled).toEqual(['trusted:1']);
    const renewed = store.holdNext('renew');
    await bench.clock.advance(2 * TTL_MS);
    expect(consumer.leases()).toBe(0);
    renewed();
    end(done);
    await bench.clock.advance(5_000);
    expect(bench.handled).toEqual(['trusted:1', 'k:1']);
  });

  it.each([false, true])(
    'do not wait for one that goes on beyond its time, its slot lost: %s',
    async (lost) => {
      const bench = new ConsumerBench();
      await lapses(bench, 2);
      await bench.clock.advance(2 * TTL_MS);
      await bench.write(outboxMessage('a', 1), outboxMessage('b', 1));
      const store = severable<SlotQueueStore>(bench.outbox);
      let first = true;
      const consumer = bench.consumer({
        store: store.value,
        settings,
        timeoutMs: 10_000,
        handle: () => {
          if (!first) return done;
          first = false;
          return new Promise<never>(() => undefined);
        },
      });
      await consumer.start();
      await bench.clock.advance(1_000);
      const renewed = lost ? store.holdNext('renew') : () => undefined;
      await bench.clock.advance(2 * TTL_MS);
      renewed();
      await bench.clock.advance(1_000);
      expect(consumer.leases()).toBe(256);
      expect(bench.handled).toHaveLength(1);
      await bench.clock.advance(30_000);
      expect(new Set(bench.handled)).toEqual(new Set(['a:1', 'b:1']));
    },
  );

  it('are looked for in many slots at once, so that all empty slots are soon trusted again', async () => {
    const bench = new ConsumerBench();
    await lapses(bench, 2);
    await bench.clock.advance(2 * TTL_MS);
    let reads = 0;
    const store = new Proxy<SlotQueueStore>(bench.outbox, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (name === 'read') reads += 1;
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    const dying = severable(store);
    await bench.consumer({ store: dying.value, settings }).start();
    await bench.clock.until(
      (async () => {
        while (reads < 20) await new Promise<void>((resolve) => bench.clock.after(1, resolve));
      })(),
    );
    dying.kill();
    // Its own death is all that counts.
    expect(new Set((await crashes(bench)).values())).toEqual(new Set([1]));
  });
});
