import { describe, expect, it } from 'vitest';
import { outboxMessage, RelayBench, textOf } from '../../testing/index.js';

const unavailable = { kind: 'unavailable', error: new Error('not now') } as const;

describe('a message for which a broker always answers that its topic takes nothing', () => {
  it.each([
    ['alone', () => true],
    ['with all that is sent beside it', () => false],
  ])(
    'holds up its key only, and is given up in the end, where it is refused %s',
    async (_, own) => {
      const bench = new RelayBench();
      const failed: number[] = [];
      bench.broker.failWith((message, _at, batch) =>
        textOf(message) === 'bad:1' || (!own() && batch.some((one) => textOf(one) === 'bad:1'))
          ? unavailable
          : null,
      );
      await bench.relay({}, { failed: () => failed.push(bench.clock.now()) }).start();
      await bench.write(...['a', 'bad', 'b', 'c'].map((key) => outboxMessage(key, 1)));
      const begun = bench.clock.now();
      await bench.clock.advance(60_000);
      expect(bench.published().sort()).toEqual(['a:1', 'b:1', 'c:1']);
      for (let n = 2; n <= 60; n += 1) {
        await bench.write(outboxMessage('a', n), outboxMessage('bad', n));
        await bench.clock.advance(1_000);
      }
      // While it waits alone the topic is not paused for it.
      expect(bench.published().filter((one) => one.startsWith('a:'))).toHaveLength(60);
      expect(failed).toEqual([]);
      for (let n = 61; n <= 100; n += 1) {
        await bench.write(outboxMessage('a', n));
        await bench.clock.advance(30_000);
      }
      expect(failed).toHaveLength(3);
      expect((failed[0] ?? 0) - begun).toBeGreaterThanOrEqual(600_000);
      expect(await bench.outbox.listDeadLetters({ limit: 10 })).toHaveLength(1);
      expect(bench.published().filter((one) => one.startsWith('bad:'))).toHaveLength(59);
      expect(await bench.count()).toBe(1);
    },
  );

  it('is no message while the topic takes nothing at all, and then all are sent', async () => {
    const bench = new RelayBench();
    const failed: string[] = [];
    let away = true;
    bench.broker.failWith((message) => (away && message.topic === 'away' ? unavailable : null));
    await bench.relay({}, { failed: (message) => failed.push(textOf(message)) }).start();
    const topic = { topic: 'away' };
    await bench.write(...Array.from({ length: 20 }, (_, n) => outboxMessage(`k${n}`, 1, topic)));
    for (let n = 0; n < 60; n += 1) {
      await bench.write(outboxMessage('other', n));
      await bench.clock.advance(60_000);
    }
    expect(failed).toEqual([]);
    away = false;
    await bench.clock.advance(20_000);
    expect(bench.published()).toHaveLength(80);
  });
});
