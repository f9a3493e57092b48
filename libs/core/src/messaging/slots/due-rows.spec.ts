import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, Gate, outboxMessage, severable } from '../../testing/index.js';

describe('a retry', () => {
  it('is not taken up again from a look that began before it was done', async () => {
    const bench = new ConsumerBench();
    const store = severable<SlotQueueStore>(bench.outbox);
    const gate = new Gate();
    let attempts = 0;
    const consumer = bench.consumer({
      store: store.value,
      handle: async () => {
        attempts += 1;
        if (attempts === 1) return { kind: 'retry', delayMs: 100, counts: true, error: 'no' };
        await gate.pass();
        return { kind: 'complete' };
      },
    });
    await consumer.start();
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(1_000);
    expect(attempts).toBe(2);
    // A look that sees the row while it is worked on, and is answered when it is gone.
    const answer = store.holdNext('readDueRetries', 'after');
    await bench.clock.advance(5_000);
    gate.open();
    await bench.clock.advance(1_000);
    answer();
    await bench.clock.advance(5_000);
    expect(attempts).toBe(2);
  });
});
