import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import {
  ConsumerBench,
  neighbourOf,
  outboxMessage,
  severable,
  textsOf,
} from '../../testing/index.js';
import type { RowOutcome } from '../index.js';
import { done, text } from './rows.fixture.js';

describe('a message that kills its process', () => {
  it('is the one that is counted, after two deaths, and nothing beside it', async () => {
    const bench = new ConsumerBench();
    const attempts = new Map<string, number>();
    let deaths = 0;
    const start = async (): Promise<void> => {
      const store = severable<SlotQueueStore>(bench.outbox);
      const consumer = bench.consumer({
        store: store.value,
        concurrency: 8,
        settings: { leaseTtlMs: 3_000 },
        handle: (row) => {
          attempts.set(text(row), Math.max(attempts.get(text(row)) ?? 0, row.attempts));
          if (text(row) !== 'killer:1') return done;
          if (row.attempts >= 2) {
            return {
              kind: 'dead_letter',
              counts: true,
              error: 'x',
              reason: 'crashed',
              block: false,
            };
          }
          deaths += 1;
          store.kill();
          return new Promise<never>(() => undefined);
        },
      });
      await consumer.start();
    };
    const innocent = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    await bench.write(outboxMessage('killer', 1), ...innocent.map((key) => outboxMessage(key, 1)));
    for (let life = 0; life < 5; life += 1) {
      await start();
      await bench.clock.advance(60_000);
    }
    // Two deaths to become suspicious, two that are counted, and then it is given up.
    expect(deaths).toBe(4);
    for (const key of innocent) expect(attempts.get(`${key}:1`)).toBe(0);
    expect(await bench.count()).toBe(1);
    expect(textsOf(await bench.outbox.listDeadLetters({}))).toEqual(['killer:1']);
  });

  it('may have been any of those that lay there, and none of those that came later', async () => {
    const bench = new ConsumerBench();
    const seen = new Map<string, boolean>();
    const store = severable<SlotQueueStore>(bench.outbox);
    let end: (outcome: RowOutcome) => void = () => undefined;
    const start = (queue: SlotQueueStore): Promise<void> =>
      bench
        .consumer({
          store: queue,
          settings: { leaseTtlMs: 3_000 },
          handle: (row, _signal, afterDeath) => {
            if (queue === store.value) return new Promise<never>(() => undefined);
            seen.set(text(row), afterDeath);
            // Its slot is under suspicion until it ends.
            return text(row) === 'a:1' ? new Promise((resolve) => (end = resolve)) : done;
          },
        })
        .start();
    await bench.write(outboxMessage('a', 1), outboxMessage('b', 1));
    await start(store.value);
    await bench.clock.advance(1_000);
    store.kill();
    await bench.write(outboxMessage('c', 1));
    await start(bench.outbox);
    await bench.clock.advance(10_000);
    await bench.write(outboxMessage('b', 2), outboxMessage(neighbourOf('a'), 1));
    await bench.clock.advance(1_000);
    end(done);
    await bench.clock.advance(1_000);
    expect(Object.fromEntries(seen)).toEqual({
      'a:1': true,
      'b:1': true,
      // Written before the slots were anybody else's.
      'c:1': true,
      'b:2': false,
      [`${neighbourOf('a')}:1`]: false,
    });
  });

  it('leaves no trouble behind when the answer to its forgiveness is lost and it need not be said again', async () => {
    const bench = new ConsumerBench();
    const first = severable<SlotQueueStore>(bench.outbox);
    await bench.consumer({ store: first.value, settings: { leaseTtlMs: 3_000 } }).start();
    await bench.clock.advance(1_000);
    first.kill();
    let lost = 0;
    const forgetful = new Proxy(bench.outbox, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(value, target, given);
          if (name !== 'noteSuspect' || lost >= 300) return answer;
          lost += 1;
          throw new Error('the answer is lost');
        };
      },
    });
    const heir = bench.consumer({ store: forgetful, settings: { leaseTtlMs: 3_000 } });
    await heir.start();
    await bench.clock.advance(20_000);
    expect(lost).toBeGreaterThan(0);
    await bench.clock.advance(60_000);
    expect(heir.problem()).toBeNull();
  });

  it('leaves no suspicion behind once its slots have run empty', async () => {
    const bench = new ConsumerBench();
    for (let life = 0; life < 2; life += 1) {
      const store = severable<SlotQueueStore>(bench.outbox);
      await bench.consumer({ store: store.value, settings: { leaseTtlMs: 3_000 } }).start();
      await bench.clock.advance(10_000);
      store.kill();
      await bench.clock.advance(10_000);
    }
    await bench.outbox.join('last', 60_000);
    const leases = await bench.outbox.acquire('last', 60_000, 256);
    // The second owner saw its slots empty and cleared them: only its own death counts.
    expect(new Set(leases.map((lease) => lease.crashes))).toEqual(new Set([1]));
  });
});
