import { afterEach, describe, expect, it, vi } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import {
  ConsumerBench,
  outboxMessage,
  randomOf,
  severable,
  textsOf,
  type Severed,
} from '../../testing/index.js';
import { ASKED } from './late-answers.fixture.js';
import { SlotTrial } from './slot-trial.fixture.js';

const KEYS = 5;
const MESSAGES = 100;
const LEASE_TTL_MS = 3_000;
/** A few hundred were tried; more are as cheap as a longer run of this spec. */
const SEEDS = 10;

/** @param draws seeds what the consumers draw themselves: pauses and the order of slots */
async function run(seed: number, draws = seed): Promise<void> {
  vi.spyOn(Math, 'random').mockImplementation(randomOf(draws));
  const random = randomOf(seed);
  const upTo = (most: number): number => Math.floor(random() * most);
  const bench = new ConsumerBench();
  const wanted = new Map<string, string[]>();
  const done = new Set<string>();
  const overtaken: string[] = [];
  let faulty = true;
  const lives: Severed<SlotQueueStore>[] = [];
  const spawn = async (): Promise<void> => {
    const life = severable<SlotQueueStore>(bench.outbox);
    lives.push(life);
    await bench
      .consumer({
        store: life.value,
        settings: { leaseTtlMs: LEASE_TTL_MS },
        handle: async (row) => {
          const [name = ''] = textsOf([row.message]);
          const order = wanted.get(row.message.key) ?? [];
          const first = order.slice(0, order.indexOf(name)).find((one) => !done.has(one));
          if (first !== undefined) overtaken.push(`${name} was begun before ${first} was done`);
          // Some handlings outlast the lease.
          const ms = random() < 0.2 ? upTo(3 * LEASE_TTL_MS) : upTo(50);
          await new Promise<void>((resolve) => bench.clock.after(ms, resolve));
          const dice = random();
          if (faulty && dice < 0.15) throw new Error('cut off');
          if (faulty && dice < 0.3) {
            return { kind: 'retry', delayMs: upTo(2_000), counts: false, error: 'not now' };
          }
          done.add(name);
          return { kind: 'complete' };
        },
      })
      .start();
  };
  await spawn();
  await spawn();
  for (let n = 0; n < MESSAGES; n += 1) {
    const key = `k${String(upTo(KEYS))}`;
    const message = outboxMessage(key, n);
    wanted.set(key, [...(wanted.get(key) ?? []), ...textsOf([message])]);
    await bench.write(message);
    if (random() < 0.5) await bench.clock.advance(upTo(1_000));
    if (random() < 0.03) {
      lives.shift()?.kill();
      await spawn();
    }
    if (random() < 0.15) {
      const method = ASKED[upTo(ASKED.length)] ?? 'renew';
      const go = lives[upTo(lives.length)]?.holdNext(method, random() < 0.5 ? 'before' : 'after');
      if (go !== undefined) bench.clock.after(upTo(3 * LEASE_TTL_MS), go);
    }
  }
  faulty = false;
  await bench.clock.advance(300_000);
  expect(overtaken, `seed ${String(seed)}`).toEqual([]);
  expect(await bench.count(), `seed ${String(seed)}: nothing is left`).toBe(0);
}

describe('consumers whose handlings outlast their leases, fail and die', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  for (let seed = 1; seed <= 20; seed += 1) {
    it(`lose nothing and keep the order of every key (seed ${String(seed)})`, async () => {
      await run(seed);
    });
  }

  it('leave no message that was held behind the first of two retries of its key', async () => {
    // Two messages are handled and not removed when their process loses the slot, and the one after them
    // is a retry. The next owner holds the two behind an earlier message, which fails there.
    await run(4, 792_082_150);
  });
});

/**
 * After the last fault no message that could be worked on waits for longer. The longest waits are those of
 * messages that were noted when their process died, which wait for up to a minute before they are tried
 * again, and of the messages behind them.
 */
const LONGEST_WAIT_MS = 90_000;
/** Some messages wait for others of their key. */
const ALL_DONE_MS = 150_000;

describe('consumers whose processes, handlers and store fail at random', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  for (let seed = 1; seed <= SEEDS; seed += 1) {
    it(`let no message wait for long once nothing fails any more (seed ${String(seed)})`, async () => {
      // Pauses and the order of slots are drawn by the consumers themselves.
      vi.spyOn(Math, 'random').mockImplementation(randomOf(seed + 0x5eed));
      const { longestWaitMs, doneAfterMs, ...rest } = await new SlotTrial(randomOf(seed)).run();
      expect(rest).toEqual({ undone: [], rowsLeft: 0, overtaken: [] });
      expect(longestWaitMs).toBeLessThanOrEqual(LONGEST_WAIT_MS);
      expect(doneAfterMs).toBeLessThanOrEqual(ALL_DONE_MS);
    });
  }
});
