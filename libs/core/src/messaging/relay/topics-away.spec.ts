import { describe, expect, it } from 'vitest';
import type { Message, OutboxMessage, SlotQueueStore } from '../../ports/index.js';
import { outboxMessage, RelayBench, textsOf } from '../../testing/index.js';
import { placeOfKey } from '../key-hash.js';

const unavailable = { kind: 'unavailable', error: new Error('UNKNOWN_TOPIC') } as const;
/** Small batches, so that a few messages fill the memory of a relay. */
const settings = { batchSize: 5, maxPauseMs: 5_000 };

function bench(...topics: readonly string[]): { readonly bench: RelayBench; away: Set<string> } {
  const made = new RelayBench();
  const away = new Set(topics);
  made.broker.failWith((message) => (away.has(message.topic) ? unavailable : null));
  return { bench: made, away };
}

function many(topic: string, count: number, given: Partial<OutboxMessage> = {}): OutboxMessage[] {
  return Array.from({ length: count }, (_, n) =>
    outboxMessage(`${topic}-${n % 20}`, n, { topic, ...given }),
  );
}

function of(topic: string, published: readonly Message[]): string[] {
  return textsOf(published.filter((message) => message.topic === topic));
}

/** Each key's messages in their order, as published. */
function byKey(published: readonly Message[]): Record<string, string[]> {
  const keys: Record<string, string[]> = {};
  for (const message of published) (keys[message.key] ??= []).push(...textsOf([message]));
  return keys;
}

/** Counts the rows of a topic that a method of a store returns. */
function countRows(store: SlotQueueStore, method: 'read' | 'readDueRetries', topic: string) {
  const seen = { rows: 0 };
  if (method === 'read') {
    const real = store.read.bind(store);
    store.read = async (request) => {
      const result = await real(request);
      seen.rows += result.rows.filter(({ message }) => message.topic === topic).length;
      return result;
    };
  } else {
    const real = store.readDueRetries.bind(store);
    store.readDueRetries = async (...given) => {
      const rows = await real(...given);
      seen.rows += rows.filter(({ message }) => message.topic === topic).length;
      return rows;
    };
  }
  return seen;
}

describe('a topic that is away', () => {
  it('holds back no other, and is not read again, however much of it waits', async () => {
    const { bench: on, away } = bench('away');
    const waiting = many('away', 1_000);
    await on.write(...waiting);
    await on.relay(settings).start();
    await on.clock.advance(2_000);
    await on.write(...many('orders', 20));
    const seen = countRows(on.outbox, 'read', 'away');
    await on.clock.advance(5_000);
    expect(of('orders', on.broker.published)).toHaveLength(20);
    expect(seen.rows).toBe(0);
    away.clear();
    await on.clock.advance(60_000);
    expect(byKey(on.broker.published.filter(({ topic }) => topic === 'away'))).toEqual(
      byKey(waiting),
    );
    expect(await on.count()).toBe(0);
  });

  it('holds back no other that is behind its messages in every slot', async () => {
    const { bench: on } = bench('away');
    // Three keys, hence three slots, each with more rows than a read looks at.
    await on.write(
      ...Array.from({ length: 600 }, (_, n) =>
        outboxMessage(`key-${n % 3}`, n, { topic: 'away', ordered: n % 2 === 0 }),
      ),
    );
    const neighbours = neighboursOf(['key-0', 'key-1', 'key-2']);
    await on.write(...neighbours.map((key) => outboxMessage(key, 1)));
    await on.relay(settings).start();
    await on.clock.advance(5_000);
    expect(of('orders', on.broker.published).sort()).toEqual(
      neighbours.map((key) => `${key}:1`).sort(),
    );
  });

  it('leaves room in memory where its messages are large', async () => {
    const { bench: on } = bench('away');
    const payload = new Uint8Array(4 * 1_024 * 1_024);
    await on.write(...many('away', 20, { payload }));
    await on.relay({ ...settings, batchSize: 50 }).start();
    await on.clock.advance(2_000);
    await on.write(...many('orders', 5));
    await on.clock.advance(5_000);
    expect(of('orders', on.broker.published)).toHaveLength(5);
  });

  it('hides no due retries of others with its own, which are not read again and again', async () => {
    const { bench: on, away } = bench();
    let refusing = true;
    on.broker.failWith((message, _at, batch) => {
      if (away.has(message.topic)) return unavailable;
      return refusing && batch.length === 1 ? { kind: 'rejected', error: new Error('no') } : null;
    });
    const retry = { attempts: 9, backoffMs: 20_000, factor: 1, maxDelayMs: 20_000, jitter: 0 };
    const first = on.relay({ batchSize: 1, retry });
    await on.write(
      ...Array.from({ length: 600 }, (_, n) => outboxMessage(`k${n}`, 1, { topic: 'away' })),
    );
    await first.start();
    await on.clock.advance(10_000);
    await on.write(...many('orders', 5));
    await on.clock.advance(5_000);
    expect((await on.outbox.stats()).byStatus.get('retrying')).toBe(605);
    away.add('away');
    await on.clock.until(first.close(1_000));
    refusing = false;
    await on.relay({ ...settings, retry }).start();
    await on.clock.advance(30_000);
    expect(of('orders', on.broker.published)).toHaveLength(5);
    const seen = countRows(on.outbox, 'readDueRetries', 'away');
    await on.clock.advance(10_000);
    expect(seen.rows).toBe(0);
    away.clear();
    await on.clock.advance(60_000);
    expect(of('away', on.broker.published)).toHaveLength(600);
  });

  it('keeps its order beside another that is away, whichever returns first', async () => {
    const { bench: on, away } = bench('x', 'y');
    const written = { x: many('x', 200), y: many('y', 200) };
    await on.write(...written.x, ...written.y);
    await on.relay(settings).start();
    await on.clock.advance(3_000);
    await on.write(...many('orders', 20));
    await on.clock.advance(2_000);
    expect(of('orders', on.broker.published)).toHaveLength(20);
    for (const topic of ['y', 'x'] as const) {
      away.delete(topic);
      await on.clock.advance(30_000);
      const published = on.broker.published.filter((message) => message.topic === topic);
      expect(byKey(published), topic).toEqual(byKey(written[topic]));
    }
    expect(await on.count()).toBe(0);
  });

  it('keeps no slot from another relay, and its order with it', async () => {
    const { bench: on, away } = bench('away');
    // One message each in most of the slots, all of which stay in memory.
    const waiting = Array.from({ length: 300 }, (_, n) =>
      outboxMessage(`k${n}`, n, { topic: 'away' }),
    );
    await on.write(...waiting);
    const first = on.relay({ ...settings, batchSize: 300 });
    await first.start();
    await on.clock.advance(3_000);
    const second = on.relay(settings);
    await second.start();
    await on.clock.advance(20_000);
    expect([first.leases(), second.leases()]).toEqual([128, 128]);
    await on.write(...many('orders', 20));
    await on.clock.advance(2_000);
    expect(of('orders', on.broker.published)).toHaveLength(20);
    away.clear();
    await on.clock.advance(30_000);
    const published = on.broker.published.filter(({ topic }) => topic === 'away');
    expect(byKey(published)).toEqual(byKey(waiting));
  });
});

/** For each of the keys another one, of the topic `orders`, whose messages lie in the same slot. */
function neighboursOf(keys: readonly string[]): string[] {
  const slotOf = (topic: string, key: string): number => placeOfKey('', topic, key).slot;
  return keys.map((key, at) => {
    const slot = slotOf('away', key);
    for (let n = 0; ; n += 1) {
      const candidate = `n${at}-${n}`;
      if (slotOf('orders', candidate) === slot) return candidate;
    }
  });
}
