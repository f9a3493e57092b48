import { describe, expect, it } from 'vitest';
import type { Broker, PublishOutcome } from '../../ports/index.js';
import { Gate, outboxMessage, RelayBench, severable, textOf } from '../../testing/index.js';

const rejected = (): Extract<PublishOutcome, { kind: 'rejected' }> => ({
  kind: 'rejected',
  error: new Error('refused'),
});

/** The broker of a relay whose first publish waits at the gate before it is sent, as for a connection. */
function waitingFirst(broker: Broker, gate: Gate): Broker {
  let first = true;
  const publish: Broker['publish'] = async (batch, deadline) => {
    if (first) {
      first = false;
      await gate.pass();
    }
    return broker.publish(batch, deadline);
  };
  return new Proxy(broker, {
    get(target, name) {
      if (name === 'publish') return publish;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

describe('a publish that is not sent before the lease of its slots has ended', () => {
  it('is not sent any more, because another relay has given its message up and gone on', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    const gate = new Gate();
    const broker = waitingFirst(bench.broker, gate);
    await bench.relay({}, {}, { outbox: outbox.value, broker }).start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.until(gate.reached);
    outbox.kill();
    bench.broker.failWith((message) => (textOf(message) === 'k:1' ? rejected() : null));
    await bench.relay().start();
    await bench.clock.advance(60_000);
    expect(bench.published()).toEqual(['k:2']);
    bench.broker.failWith(() => null);
    gate.open();
    await bench.clock.advance(60_000);
    expect(bench.published()).toEqual(['k:2']);
  });

  it('counts nothing, and is repeated in order by a relay that has the slots still', async () => {
    const bench = new RelayBench();
    const gate = new Gate();
    const relay = bench.relay(
      { retry: { attempts: 1, backoffMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 } },
      {},
      { broker: waitingFirst(bench.broker, gate) },
    );
    await relay.start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.until(gate.reached);
    // Longer than the lease, which is renewed meanwhile.
    await bench.clock.advance(20_000);
    gate.open();
    await bench.clock.advance(20_000);
    expect(bench.published()).toEqual(['k:1', 'k:2']);
    expect(await bench.count()).toBe(0);
    expect(relay.problem()).toBeNull();
  });
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
      textOf(message) === 'k:1' && bench.clock.now() < 500 ? rejected() : null,
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
