import { answer } from '../child.js';
import { withCost, type Cost } from '../cost.js';
import { fill, relayRate } from '../drain.js';
import { perSecond } from '../statistics.js';
import { openStore } from '../store.js';
import { enqueueRate, inboxRate, withBusiness } from '../transactions.js';

export interface PartRun {
  readonly part: 'append' | 'relay' | 'enqueue' | 'inbox';
  readonly url: string;
  readonly count: number;
}
export interface PartRate {
  readonly perSecond: number;
  readonly cost: Cost;
}

/** One part of the bench alone, after a warm-up of a round, with its cost. */
await answer(({ part, url, count }: PartRun): Promise<PartRate> => {
  switch (part) {
    case 'append':
    case 'relay':
      return outbox(part, url, count);
    case 'enqueue':
      return withBusiness(url, (pool, store) =>
        twice(url, count, () => enqueueRate(pool, store, count)),
      );
    case 'inbox':
      return withBusiness(url, (pool, store) =>
        twice(url, count, () => inboxRate(pool, store, count)),
      );
  }
});

async function outbox(part: 'append' | 'relay', url: string, count: number): Promise<PartRate> {
  const store = await openStore(url);
  try {
    await fill(store, count);
    await relayRate(store, count);
    const filled = await withCost(url, count, async () => {
      const began = performance.now();
      await fill(store, count);
      return perSecond(count, performance.now() - began);
    });
    const drained = await withCost(url, count, () => relayRate(store, count));
    const { value, cost } = part === 'append' ? filled : drained;
    return { perSecond: value, cost };
  } finally {
    await store.close();
  }
}

async function twice(url: string, count: number, work: () => Promise<number>): Promise<PartRate> {
  await work();
  const { value, cost } = await withCost(url, count, work);
  return { perSecond: value, cost };
}
