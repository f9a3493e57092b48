import { describe, expect, it } from 'vitest';
import type { PublishOutcome, SlotQueueStore } from '../../ports/index.js';
import { outboxMessage, randomOf, RelayBench, severable, textsOf } from '../../testing/index.js';
import { ASKED } from '../slots/late-answers.fixture.js';

const KEYS = 6;
const TOPICS = 3;
const MESSAGES = 120;
const LEASE_TTL_MS = 3_000;

async function run(seed: number, orderedBatches: boolean): Promise<void> {
  const random = randomOf(seed);
  const bench = new RelayBench({ orderedBatches });
  const kinds: PublishOutcome['kind'][] = ['rejected', 'unknown', 'unavailable'];
  let faulty = true;
  const away = new Set<string>();
  bench.broker.failWith(({ topic }) => {
    if (away.has(topic)) return { kind: 'unavailable', error: new Error('away') };
    if (!faulty || random() > 0.12) return null;
    const kind = kinds[Math.floor(random() * kinds.length)] ?? 'unknown';
    const error = new Error(kind);
    return kind === 'rejected' || kind === 'unavailable'
      ? { kind, error }
      : { kind: 'unknown', error };
  });
  const lives: { kill(): void; stall(method: keyof SlotQueueStore): () => void }[] = [];
  const settings = {
    batchSize: 8,
    leaseTtlMs: LEASE_TTL_MS,
    publishTimeoutMs: 500,
    concurrentBatches: 1 + Math.floor(random() * 2),
    retry: { attempts: 10_000, backoffMs: 100, factor: 2, maxDelayMs: 2_000, jitter: 0.5 },
  };
  const spawn = async (): Promise<void> => {
    const outbox = severable(bench.outbox);
    const broker = severable(bench.broker);
    const relay = bench.relay(settings, {}, { outbox: outbox.value, broker: broker.value });
    lives.push({
      kill: () => {
        outbox.kill();
        broker.kill();
      },
      stall: (method) => outbox.holdNext(method, random() < 0.5 ? 'before' : 'after'),
    });
    await relay.start();
  };
  await spawn();
  await spawn();
  const wanted = new Map<string, string[]>();
  const held: { readonly commit: () => void; readonly done: Promise<void> }[] = [];
  for (let n = 0; n < MESSAGES; n += 1) {
    const at = Math.floor(random() * KEYS);
    const key = `k${at}`;
    const message = outboxMessage(key, n, { topic: `topic-${at % TOPICS}` });
    // A topic goes away, or returns.
    if (random() < 0.1) {
      const topic = `topic-${Math.floor(random() * TOPICS)}`;
      if (!away.delete(topic)) away.add(topic);
    }
    const choice = random();
    if (choice < 0.15) {
      // A transaction that has its number and commits later.
      let commit: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (commit = resolve));
      const done = bench.transactions.run(async (transaction) => {
        await bench.outbox.append([message], transaction);
        const order = wanted.get(key) ?? [];
        wanted.set(key, order);
        order.push(...textsOf([message]));
        await gate;
      });
      held.push({ commit, done });
    } else {
      held.push({
        commit: () => undefined,
        done: bench.transactions.run(async (transaction) => {
          await bench.outbox.append([message], transaction);
          const order = wanted.get(key) ?? [];
          wanted.set(key, order);
          order.push(...textsOf([message]));
        }),
      });
    }
    if (random() < 0.3) held[Math.floor(random() * held.length)]?.commit();
    if (random() < 0.4) await bench.clock.advance(Math.floor(random() * 400));
    if (random() < 0.04) {
      lives.shift()?.kill();
      await spawn();
    }
    if (random() < 0.1) {
      const life = lives[Math.floor(random() * lives.length)];
      const method = ASKED[Math.floor(random() * ASKED.length)] ?? 'renew';
      const go = life?.stall(method) ?? (() => undefined);
      bench.clock.after(Math.floor(random() * 3 * LEASE_TTL_MS), go);
    }
    if (random() < 0.05) await bench.clock.advance(Math.floor(random() * LEASE_TTL_MS));
    if (random() < 0.03) {
      const go = bench.broker.hang();
      bench.clock.after(Math.floor(random() * 2_000), go);
    }
  }
  for (const { commit } of held) commit();
  await bench.clock.settle();
  await Promise.all(held.map(({ done }) => done));
  faulty = false;
  away.clear();
  await bench.clock.advance(60_000);
  const first = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const message of bench.broker.published) {
    if (seen.has(message.id)) continue;
    seen.add(message.id);
    const order = first.get(message.key) ?? [];
    first.set(message.key, order);
    order.push(...textsOf([message]));
  }
  expect(Object.fromEntries(first), `seed ${seed}`).toEqual(Object.fromEntries(wanted));
  expect(await bench.count(), `seed ${seed}: nothing is left`).toBe(0);
}

describe('relays that fail, die, hang, are refused, miss topics and lose their slots while they live', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    it(`lose nothing and keep the order of every key (seed ${seed})`, async () => {
      await run(seed, seed % 2 === 0);
    });
  }
});
