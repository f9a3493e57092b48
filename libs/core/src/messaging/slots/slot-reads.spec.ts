import { describe, expect, it } from 'vitest';
import type { ReadRequest, ReadResult, SlotQueueStore } from '../../ports/index.js';
import {
  ConsumerBench,
  neighbourOf,
  outboxMessage,
  severable,
  textsOf,
} from '../../testing/index.js';
import { done, text } from './rows.fixture.js';

/** Counts the reads of a store, and refuses more than a consumer could need in the time of a test. */
function countingReads(store: SlotQueueStore): { value: SlotQueueStore; reads: () => number } {
  let reads = 0;
  const value = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name !== 'read')
        return (...given: unknown[]): unknown => Reflect.apply(member, target, given);
      return (request: ReadRequest): Promise<ReadResult> => {
        reads += 1;
        if (reads > 5_000) return new Promise<never>(() => undefined);
        return target.read(request);
      };
    },
  });
  return { value, reads: () => reads };
}

/** A consumer whose handling of the message `busy:1` ends only with `finish`. */
async function benchWithBusyKey(): Promise<{ bench: ConsumerBench; finish: () => void }> {
  const bench = new ConsumerBench();
  let finish: () => void = () => undefined;
  const consumer = bench.consumer({
    handle: (row) =>
      text(row) === 'busy:1' ? new Promise((resolve) => (finish = () => resolve(done))) : done,
  });
  await consumer.start();
  return { bench, finish: () => finish() };
}

describe('reads of a consumer', () => {
  it('pause while what they show cannot be taken, because an answer of the store is outstanding', async () => {
    const bench = new ConsumerBench();
    const store = severable<SlotQueueStore>(bench.outbox);
    const counted = countingReads(store.value);
    let failing = true;
    const consumer = bench.consumer({
      store: counted.value,
      handle: (row) =>
        text(row) === 'k:1' && failing
          ? { kind: 'retry', delayMs: 1_000, counts: true, error: 'not now' }
          : done,
    });
    await consumer.start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.advance(500);
    failing = false;
    // The first message is done; the release of those behind it is not answered.
    const answer = store.holdNext('change');
    await bench.clock.advance(1_000);
    await bench.write(...Array.from({ length: 40 }, (_, n) => outboxMessage('k', n + 3)));
    const before = counted.reads();
    await bench.clock.advance(1_000);
    expect(counted.reads() - before).toBeLessThan(200);
    expect(bench.handled).toEqual(['k:1', 'k:1']);
    answer();
    await bench.clock.advance(5_000);
    expect(bench.handled).toHaveLength(43);
    expect(await bench.count()).toBe(0);
  });

  it('bring messages of other keys while one key with many messages is worked on', async () => {
    const { bench, finish } = await benchWithBusyKey();
    await bench.write(...Array.from({ length: 200 }, (_, n) => outboxMessage('busy', n + 1)));
    await bench.clock.advance(1_000);
    await bench.write(outboxMessage('other', 1));
    await bench.clock.advance(10_000);
    expect(bench.handled).toEqual(['busy:1', 'other:1']);
    finish();
    await bench.clock.advance(10_000);
    expect(bench.handled).toHaveLength(201);
  });

  it('bring messages of the other keys of a slot from behind a thousand messages of a key that is worked on', async () => {
    const { bench, finish } = await benchWithBusyKey();
    await bench.write(...Array.from({ length: 1_000 }, (_, n) => outboxMessage('busy', n + 1)));
    await bench.clock.advance(1_000);
    const neighbour = neighbourOf('busy');
    // So many that they do not all fit into memory either.
    const behind = Array.from({ length: 40 }, (_, n) => outboxMessage(neighbour, n + 1));
    await bench.write(...behind);
    await bench.clock.advance(2_000);
    expect(bench.handled).toEqual(['busy:1', ...textsOf(behind)]);
    finish();
    await bench.clock.advance(60_000);
    expect(bench.handled.filter((one) => one.startsWith('busy'))).toHaveLength(1_000);
    expect(await bench.count()).toBe(0);
  });

  it('past a busy key are few, and none is made once nothing is hidden', async () => {
    const bench = new ConsumerBench();
    const past: ReadRequest[] = [];
    const store = new Proxy<SlotQueueStore>(bench.outbox, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (name !== 'read') return member.bind(target) as unknown;
        return (request: ReadRequest): Promise<ReadResult> => {
          if (request.passingOver !== undefined) past.push(request);
          return target.read(request);
        };
      },
    });
    let finish: () => void = () => undefined;
    const consumer = bench.consumer({
      store,
      handle: (row) =>
        text(row) === 'busy:1' ? new Promise((resolve) => (finish = () => resolve(done))) : done,
    });
    await consumer.start();
    await bench.write(...Array.from({ length: 100 }, (_, n) => outboxMessage('busy', n + 1)));
    await bench.clock.advance(10_000);
    expect(past.length).toBeGreaterThan(0);
    expect(past.length).toBeLessThanOrEqual(200);
    expect(past.every((request) => request.windows.length === 1)).toBe(true);
    finish();
    await bench.clock.advance(5_000);
    expect(await bench.count()).toBe(0);
    past.length = 0;
    await bench.write(outboxMessage('busy', 'later'), outboxMessage('other', 1));
    await bench.clock.advance(5_000);
    expect(past).toEqual([]);
  });
});
