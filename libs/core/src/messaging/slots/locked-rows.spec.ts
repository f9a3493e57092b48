import { expect, it } from 'vitest';
import type { MemoryTransaction } from '../../memory/index.js';
import type { QueuedMessage } from '../../ports/index.js';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';
import type { RowOutcome } from './index.js';
import { done } from './rows.fixture.js';

const quiet = (): void => undefined;

/** A consumer that handles 100 rows while a transaction beside it locks those of some keys. */
function benchLocking(handle: (row: QueuedMessage) => RowOutcome, ...keys: string[]) {
  const bench = new ConsumerBench();
  const warnings: { message: string; fields: unknown }[] = [];
  const other: MemoryTransaction = bench.transactions.begin();
  const consumer = bench.consumer({
    concurrency: 100,
    handle: async (row) => {
      const locks = keys.includes(row.message.key) && other.open;
      if (locks) await bench.outbox.lockRow(row, other);
      return handle(row);
    },
    logger: {
      debug: quiet,
      info: quiet,
      warn: (message, fields) => void warnings.push({ message, fields }),
      error: quiet,
    },
  });
  const write = (n: number) =>
    bench.write(...Array.from({ length: 100 }, (_, k) => outboxMessage(`k${k}`, n)));
  return { bench, other, consumer, write, warnings };
}

it('goes on reading and removing beside rows that are locked, and handles none of them twice', async () => {
  const { bench, other, consumer, write, warnings } = benchLocking(() => done, 'k3', 'k50', 'k51');
  await consumer.start();
  await write(1);
  await bench.clock.advance(1_000);
  expect(await bench.count()).toBe(3);
  await write(2);
  await bench.clock.advance(120_000);
  expect(await bench.count()).toBe(6);
  expect(consumer.stuck()).toBe(6);
  expect(consumer.problem()).toBeNull();
  expect(warnings[0]?.fields).toMatchObject({
    topic: 'orders',
    error: expect.stringContaining('Another transaction has locked the row'),
  });
  other.rollback();
  await bench.clock.advance(11_000);
  expect(await bench.count()).toBe(0);
  expect(bench.handled).toHaveLength(200);
});

it('writes the retries of all rows that are not locked, once, and of these as soon as they are free', async () => {
  const retry: RowOutcome = { kind: 'retry', delayMs: 3_600_000, counts: true, error: 'no' };
  const { bench, other, consumer, write } = benchLocking(() => retry, 'k3', 'k50', 'k51');
  await consumer.start();
  await write(1);
  await bench.clock.advance(1_000);
  const count = async (): Promise<number> =>
    (await bench.outbox.stats()).byStatus.get('retrying') ?? 0;
  expect(await count()).toBe(97);
  expect(consumer.problem()).toBeNull();
  // As long again as it was locked, at most.
  other.rollback();
  await bench.clock.advance(1_000);
  expect(await count()).toBe(100);
  expect(bench.handled).toHaveLength(100);
});

it('releases the followers of a key only when its locked head has been removed', async () => {
  const bench = new ConsumerBench();
  const other = bench.transactions.begin();
  let attempts = 0;
  const consumer = bench.consumer({
    handle: async (row) => {
      attempts += 1;
      if (attempts === 1) return { kind: 'retry', delayMs: 500, counts: true, error: 'not now' };
      if (attempts === 2) await bench.outbox.lockRow(row, other);
      return done;
    },
  });
  await consumer.start();
  await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
  await bench.clock.advance(2_000);
  // The head is done, and who takes its slot over now must not find its follower before it.
  expect(bench.handled).toEqual(['k:1', 'k:1']);
  const { byStatus } = await bench.outbox.stats();
  expect([byStatus.get('retrying'), byStatus.get('held')]).toEqual([1, 1]);
  await bench.write(outboxMessage('other', 1));
  await bench.clock.advance(100);
  expect(bench.handled).toEqual(['k:1', 'k:1', 'other:1']);
  other.rollback();
  await bench.clock.advance(5_000);
  expect(bench.handled).toEqual(['k:1', 'k:1', 'other:1', 'k:2']);
  expect(await bench.count()).toBe(0);
});

it('keeps the slots whose lease rows are not locked, and regains the others without a crash', async () => {
  const bench = new ConsumerBench();
  const consumer = bench.consumer();
  await consumer.start();
  await bench.clock.advance(1_000);
  const other = bench.transactions.begin();
  for (const slot of [7, 8, 9]) await bench.outbox.lockLease(slot, other);
  // Until their leases expire, they belong to this process.
  await bench.clock.advance(5_000);
  expect(consumer.leases()).toBe(256);
  await bench.clock.advance(60_000);
  expect(consumer.leases()).toBe(253);
  expect(consumer.problem()).toBeNull();
  await bench.write(...Array.from({ length: 100 }, (_, k) => outboxMessage(`k${k}`, 1)));
  await bench.clock.advance(1_000);
  expect(await bench.count()).toBeLessThan(5);
  other.rollback();
  await bench.clock.advance(5_000);
  expect(consumer.leases()).toBe(256);
  expect(await bench.count()).toBe(0);
  await consumer.close(1_000);
  const leases = await bench.outbox.acquire('next', 10_000, 256);
  expect(leases.every(({ crashes, epoch }) => crashes === 0 && epoch === 2)).toBe(true);
});
