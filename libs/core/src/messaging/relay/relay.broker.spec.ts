import { describe, expect, it } from 'vitest';
import type { Broker } from '../../ports/index.js';
import { outboxMessage, RelayBench, textOf, textsOf } from '../../testing/index.js';

describe('a broker that does not answer as it should', () => {
  it('costs no attempt while it takes nothing, however long', async () => {
    const bench = new RelayBench();
    const failed: string[] = [];
    const relay = bench.relay({}, { failed: (message) => failed.push(textOf(message)) });
    bench.broker.setDown(new Error('away'));
    await relay.start();
    await bench.write(outboxMessage('a', 1), outboxMessage('b', 1));
    await bench.clock.advance(3_600_000);
    expect(failed).toEqual([]);
    expect(relay.problem()).toContain('away');
    const tries = bench.broker.batches.length;
    expect(tries).toBeLessThan(1_000);
    bench.broker.setDown(null);
    await bench.clock.advance(11_000);
    expect(bench.published().sort()).toEqual(['a:1', 'b:1']);
    expect(relay.problem()).toBeNull();
  });

  it('does not hold back other topics while it takes nothing of one', async () => {
    const bench = new RelayBench();
    let away = true;
    bench.broker.failWith((message) =>
      away && message.topic === 'away'
        ? { kind: 'unavailable', error: new Error('no leader') }
        : null,
    );
    await bench.relay().start();
    await bench.write(outboxMessage('k', 'away', { topic: 'away' }), outboxMessage('k', 1));
    await bench.clock.advance(2_000);
    await bench.write(outboxMessage('k', 2));
    await bench.clock.advance(2_000);
    expect(bench.published()).toEqual(['k:1', 'k:2']);
    away = false;
    await bench.clock.advance(20_000);
    expect(bench.published()).toEqual(['k:1', 'k:2', 'k:away']);
  });

  it('sends what comes for another topic at once while one topic that is tried alone takes nothing', async () => {
    const bench = new RelayBench();
    bench.broker.failWith((message) =>
      message.topic === 'away' ? { kind: 'unavailable', error: new Error('no leader') } : null,
    );
    const relay = bench.relay();
    await relay.start();
    await bench.write(outboxMessage('k', 'away', { topic: 'away' }));
    await bench.clock.advance(60_000);
    expect(relay.problem()).toContain('no leader');
    await bench.write(outboxMessage('k', 1));
    await bench.clock.advance(100);
    expect(bench.published()).toEqual(['k:1']);
    expect(relay.problem()).toBeNull();
  });

  it('counts a silence only against a message that was sent alone', async () => {
    const bench = new RelayBench();
    const failed: string[] = [];
    bench.broker.failWith((message, _at, batch) =>
      textOf(message) === 'odd:1' || (batch.length > 1 && textOf(message) === 'shy:1')
        ? { kind: 'unknown', error: new Error('no answer') }
        : null,
    );
    await bench.relay({}, { failed: (message) => failed.push(textOf(message)) }).start();
    await bench.write(outboxMessage('odd', 1), outboxMessage('shy', 1), outboxMessage('fine', 1));
    await bench.clock.advance(900);
    expect(failed).toEqual(['odd:1']);
    expect(bench.published().sort()).toEqual(['fine:1', 'shy:1']);
  });

  it('keeps the keys of a publish that hangs until the client has settled, and no others', async () => {
    const bench = new RelayBench();
    const timedOut: number[] = [];
    const relay = bench.relay(
      { publishTimeoutMs: 1_000 },
      { timedOut: (count) => timedOut.push(count) },
    );
    await relay.start();
    await bench.clock.advance(100);
    const answer = bench.broker.hang();
    await bench.write(outboxMessage('slow', 1));
    await bench.clock.advance(50);
    // The publish that hangs is past the gate already; later ones pass it.
    const later = bench.broker.hang();
    later();
    await bench.write(outboxMessage('slow', 2), outboxMessage('other', 1));
    await bench.clock.advance(4_000);
    expect(timedOut).toEqual([1]);
    expect(bench.published()).toEqual(['other:1']);
    expect(relay.problem()).toContain('has not answered');
    answer();
    await bench.clock.advance(1_000);
    expect(bench.published()).toEqual(['other:1', 'slow:1', 'slow:2']);
    expect(relay.problem()).toBeNull();
    expect(await bench.count()).toBe(0);
  });

  it('gets one message of a key at a time where its batches are not ordered', async () => {
    const bench = new RelayBench({ orderedBatches: false });
    let first = true;
    bench.broker.failWith((message) => {
      if (textOf(message) !== 'k:1' || !first) return null;
      first = false;
      return { kind: 'rejected', error: new Error('refused') };
    });
    await bench.relay().start();
    await bench.write(...[1, 2, 3].map((n) => outboxMessage('k', n)));
    await bench.clock.advance(10_000);
    expect(bench.published()).toEqual(['k:1', 'k:2', 'k:3']);
    expect(bench.broker.batches.every((size) => size === 1)).toBe(true);
  });

  it('may answer fewer outcomes than messages without one of them being lost', async () => {
    const bench = new RelayBench();
    let broken = true;
    const broker: Broker = {
      name: 'forgetful',
      orderedBatches: true,
      keepsRetries: true,
      publish: (batch) => (broken ? Promise.resolve([]) : bench.broker.publish(batch)),
      ensure: (topics) => bench.broker.ensure(topics),
      subscribe: (request) => bench.broker.subscribe(request),
      health: () => bench.broker.health(),
      lag: () => bench.broker.lag(),
      close: () => bench.broker.close(),
    };
    await bench.relay({}, {}, { broker }).start();
    await bench.write(outboxMessage('a', 1), outboxMessage('b', 1), outboxMessage('c', 1));
    await bench.clock.settle();
    broken = false;
    await bench.clock.advance(10_000);
    expect(bench.published().sort()).toEqual(['a:1', 'b:1', 'c:1']);
    expect(textsOf(await bench.outbox.listDeadLetters({}))).toEqual([]);
    expect(await bench.count()).toBe(0);
  });
});
