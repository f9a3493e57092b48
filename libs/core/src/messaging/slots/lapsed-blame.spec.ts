import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, severable, textsOf } from '../../testing/index.js';

const TTL_MS = 3_000;

/**
 * Starts processes that are killed by the message, one after the other, until it is given up or `most`
 * have died. With `lapses`, the renewals of each process fail for longer than a lease, before it
 * works on what it took over. Returns the deaths.
 */
async function deathsOf(bench: ConsumerBench, lapses: boolean, most: number): Promise<number> {
  let deaths = 0;
  for (let life = 0; life < most && deaths === life; life += 1) {
    const store = severable<SlotQueueStore>(bench.outbox);
    const consumer = bench.consumer({
      store: store.value,
      settings: { leaseTtlMs: TTL_MS },
      handle: (row) => {
        if (row.attempts >= 2) {
          const error = 'It killed its process again.';
          return { kind: 'dead_letter', counts: true, error, reason: 'crashed', block: false };
        }
        deaths += 1;
        store.kill();
        return new Promise<never>(() => undefined);
      },
    });
    await consumer.start();
    if (lapses) {
      await bench.clock.advance(1_500);
      expect(consumer.leases()).toBe(256);
      for (let ms = 0; ms < 2 * TTL_MS; ms += TTL_MS / 20) {
        store.failNext('renew', new Error('cut off'));
        await bench.clock.advance(TTL_MS / 20);
      }
    }
    await bench.clock.advance(60_000);
  }
  return deaths;
}

describe('a message that kills its process', () => {
  it.each([false, true])(
    'is given up after four deaths (the processes lose their leases for a while: %s)',
    async (lapses) => {
      const bench = new ConsumerBench();
      await bench.write(outboxMessage('killer', 1));
      expect(await deathsOf(bench, lapses, 12)).toBe(4);
      expect(textsOf(await bench.outbox.listDeadLetters({}))).toEqual(['killer:1']);
    },
  );
});
