import { describe, expect, it } from 'vitest';
import type { SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, refusing } from '../../testing/index.js';
import type { RowOutcome } from './index.js';

const MINUTES = 2;

describe('a consumer whose store refuses a statement', () => {
  it.each([
    'join',
    'renew',
    'acquire',
    'read',
    'probeFloor',
    'heldKeys',
    'readDueRetries',
    'promote',
    'nextDueInMs',
    'complete',
    'change',
  ] as const)(
    '%s: tries again seldom, says so once a minute and to probes, and goes on by itself',
    async (method) => {
      const bench = new ConsumerBench();
      const store = refusing<SlotQueueStore>(bench.outbox);
      let failed = false;
      const lines: string[] = [];
      const say = (message: string): void => void lines.push(message);
      const quiet = (): void => undefined;
      const consumer = bench.consumer({
        store: store.value,
        logger: { debug: quiet, info: quiet, warn: say, error: say },
        handle: (row): Promise<RowOutcome> => {
          // One of them has to be tried again, or nothing is ever changed.
          if (row.message.key !== 'k0' || failed) return Promise.resolve({ kind: 'complete' });
          failed = true;
          return Promise.resolve({ kind: 'retry', delayMs: 10, counts: true, error: 'not yet' });
        },
      });
      store.refuse(method);
      await consumer.start();
      await bench.write(...Array.from({ length: 20 }, (_, n) => outboxMessage(`k${n % 5}`, n)));
      // Hints keep coming, as they do while others write.
      for (let at = 0; at < MINUTES * 60_000; at += 250) {
        consumer.wake();
        await bench.clock.advance(250);
      }
      const tries = store.refused();
      expect(tries).toBeGreaterThan(3);
      // Every ten seconds in the end; some uses grow there from a slower start than others.
      expect(tries).toBeLessThan(MINUTES * 60);
      // Of two uses where both removals and changes need what was refused.
      expect(lines.length).toBeLessThanOrEqual(2 * (MINUTES + 1));
      expect(lines.join()).toContain('is refused');
      expect(consumer.problem()).toContain('permission denied');
      store.grant();
      await bench.clock.advance(30_000);
      expect(consumer.problem()).toBeNull();
      expect(await bench.outbox.stats()).toMatchObject({ byStatus: new Map() });
      await bench.clock.until(consumer.close(1_000));
    },
  );
});
