import { answer } from '../child.js';
import { withCost } from '../cost.js';
import { fill, relayRate } from '../drain.js';
import type { Measured } from '../measure.js';
import { perSecond } from '../statistics.js';
import { openStore } from '../store.js';

export interface PartRun {
  readonly part: 'append' | 'relay';
  readonly url: string;
  readonly count: number;
}

/** One part of the outbox alone, after a warm-up of a round, with its cost. */
await answer(async ({ part, url, count }: PartRun): Promise<Measured> => {
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
});
