import { describe, expect, it } from 'vitest';
import type { Message, PublishOutcome } from '../../ports/index.js';
import { outboxMessage, RelayBench, severable, textsOf } from '../../testing/index.js';

const text = (message: Message): string => textsOf([message])[0] ?? '';
const rejected = (): Extract<PublishOutcome, { kind: 'rejected' }> => ({
  kind: 'rejected',
  error: new Error('refused'),
});

describe('a relay that dies', () => {
  it('between the acknowledgement and the removal leaves a duplicate, never a loss', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    await bench.relay({ leaseTtlMs: 9_000 }, {}, { outbox: outbox.value }).start();
    await bench.clock.advance(100);
    outbox.holdNext('complete');
    await bench.write(outboxMessage('a', 1), outboxMessage('a', 2));
    await bench.clock.advance(100);
    expect(bench.published()).toEqual(['a:1', 'a:2']);
    outbox.kill();
    await bench.relay().start();
    await bench.clock.advance(20_000);
    expect(bench.published()).toEqual(['a:1', 'a:2', 'a:1', 'a:2']);
    expect(await bench.count()).toBe(0);
  });

  it('between the end of a retry and the call-back of its followers strands none of them', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    bench.broker.failWith((message) =>
      text(message) === 'k:1' && bench.clock.now() < 500 ? rejected() : null,
    );
    await bench.relay({}, {}, { outbox: outbox.value }).start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.advance(500);
    outbox.holdNext('change');
    await bench.clock.advance(2_000);
    expect(bench.published()).toEqual(['k:1']);
    outbox.kill();
    expect((await bench.outbox.stats()).byStatus.get('held')).toBe(1);
    await bench.relay().start();
    await bench.clock.advance(30_000);
    expect(bench.published()).toEqual(['k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
  });

  it('publishes nothing any more once its lease could have ended', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    await bench.relay({ publishTimeoutMs: 1_000 }, {}, { outbox: outbox.value }).start();
    await bench.clock.advance(100);
    // Renewals hang, reads go on: the lease runs out by the clock of the process.
    outbox.holdNext('renew');
    await bench.clock.advance(9_500);
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(5_000);
    expect(bench.published()).toEqual([]);
    await bench.relay().start();
    await bench.clock.advance(2_000);
    expect(bench.published()).toEqual(['a:1']);
  });

  it('goes on when a late renewal has left too little of the lease to begin anything', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    await bench
      .relay({ publishTimeoutMs: 5_000, pollIntervalMs: 3_600_000 }, {}, { outbox: outbox.value })
      .start();
    await bench.clock.advance(100);
    const renewed = outbox.holdNext('renew');
    await bench.clock.advance(6_000);
    await bench.write(...Array.from({ length: 2_000 }, (_, n) => outboxMessage(`k${n}`, n)));
    await bench.clock.advance(1_000);
    expect(bench.published()).toEqual([]);
    renewed();
    await bench.clock.advance(5_000);
    expect(bench.published()).toHaveLength(2_000);
  });
});
