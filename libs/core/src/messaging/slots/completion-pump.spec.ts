import { expect, it } from 'vitest';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';

/** How many rows each removal took. */
function removals(bench: ConsumerBench): number[] {
  const sizes: number[] = [];
  const complete = bench.outbox.complete.bind(bench.outbox);
  bench.outbox.complete = (places) => {
    sizes.push(places.length);
    return complete(places);
  };
  return sizes;
}

it('removes at once what ends alone, and what ends soon after it together', async () => {
  const bench = new ConsumerBench();
  const sizes = removals(bench);
  await bench.consumer().start();
  await bench.clock.advance(1_000);
  for (let n = 0; n < 10; n += 1) {
    await bench.write(outboxMessage(`k${n}`, n));
    await bench.clock.advance(2);
  }
  expect(sizes[0]).toBe(1);
  await bench.clock.advance(20);
  expect(sizes).toEqual([1, 9]);
  expect(await bench.count()).toBe(0);
});

it('keeps nobody of the same key waiting for it', async () => {
  const bench = new ConsumerBench();
  await bench.consumer().start();
  await bench.clock.advance(1_000);
  await bench.write(outboxMessage('a', 1));
  await bench.clock.advance(1);
  await bench.write(outboxMessage('a', 2));
  await bench.clock.advance(1);
  await bench.write(outboxMessage('a', 3));
  await bench.clock.advance(1);
  expect(bench.handled).toEqual(['a:1', 'a:2', 'a:3']);
});

it('lets a crowd wait for nothing', async () => {
  const bench = new ConsumerBench();
  const sizes = removals(bench);
  await bench.consumer({ concurrency: 64 }).start();
  await bench.clock.advance(1_000);
  await bench.write(outboxMessage('first', 1));
  await bench.clock.settle();
  await bench.write(...Array.from({ length: 64 }, (_, n) => outboxMessage(`k${n}`, n)));
  await bench.clock.advance(8);
  expect(sizes).toEqual([1, 64]);
});
