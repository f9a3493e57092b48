import { describe, expect, it } from 'vitest';
import { Gate, RelayBench, VirtualClock, outboxMessage } from '../../testing/index.js';
import type { TopicProblem } from '../../ports/index.js';
import { MemoryBroker } from '../../memory/index.js';
import { TopicAwayError } from './topic-away.error.js';
import { TopicPublisher } from './topic-publisher.js';

const order = (n: number) => outboxMessage('k', n, { topic: 'orders' });
const stock = (n: number) => outboxMessage('s', n, { topic: 'stock' });

/** Remembers what it was asked about, and answers as it is told. */
class Asked extends MemoryBroker {
  readonly asked: string[] = [];
  readonly gates = new Map<string, Gate>();

  override async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    this.asked.push(...topics);
    for (const topic of topics) await this.gates.get(topic)?.pass();
    return super.ensure(topics);
  }
}

describe('a relay and the topics of its broker', () => {
  it('has each topic made ready once, before its first message', async () => {
    const bench = new RelayBench();
    const broker = new Asked({ clock: bench.clock });
    await bench.relay({}, {}, { broker }).start();
    await bench.write(order(1), stock(1), order(2));
    await bench.clock.advance(5_000);
    await bench.write(order(3));
    await bench.clock.advance(5_000);
    expect(broker.asked.sort()).toEqual(['orders', 'stock']);
    expect(broker.published).toHaveLength(4);
  });

  it('publishes the others while one cannot be made ready, and its own when it is', async () => {
    const bench = new RelayBench();
    const broker = new Asked({ clock: bench.clock });
    broker.setTopicAway('orders', new Error('no leader'));
    const paused: unknown[] = [];
    let counted = 0;
    const observer = {
      paused: (topic: string | null, _ms: number, error: unknown) =>
        void paused.push([topic, error]),
      failed: () => void (counted += 1),
    };
    await bench.relay({}, observer, { broker }).start();
    await bench.write(order(1), stock(1), order(2));
    await bench.clock.advance(60_000);
    expect(broker.published.map(({ topic }) => topic)).toEqual(['stock']);
    expect(counted).toBe(0);
    const [topic, error] = paused[0] as [string, TopicAwayError];
    expect(topic).toBe('orders');
    expect(error).toBeInstanceOf(TopicAwayError);
    expect(error).toMatchObject({ topic: 'orders', broker: 'memory' });
    expect(error.message).toContain("topic 'orders' ready: no leader");
    broker.setTopicAway('orders', null);
    await bench.clock.advance(60_000);
    expect(broker.published.map(({ topic: of }) => of)).toEqual(['stock', 'orders', 'orders']);
  });

  it('waits half of its time limit for a topic whose call hangs, and no longer with the others', async () => {
    const bench = new RelayBench();
    const broker = new Asked({ clock: bench.clock });
    const gate = new Gate();
    broker.gates.set('orders', gate);
    let timedOut = 0;
    const observer = { timedOut: () => void (timedOut += 1) };
    await bench.relay({ publishTimeoutMs: 2_000 }, observer, { broker }).start();
    await bench.write(order(1), stock(1));
    await bench.clock.advance(1_500);
    expect(broker.published.map(({ topic }) => topic)).toEqual(['stock']);
    await bench.clock.advance(60_000);
    expect(broker.asked.sort(), 'a call that hangs is given no second one beside it').toEqual([
      'orders',
      'stock',
    ]);
    expect(timedOut).toBe(0);
    gate.open();
    await bench.clock.advance(60_000);
    expect(broker.published.map(({ topic }) => topic)).toEqual(['stock', 'orders']);
  });

  it('asks again about a topic of which the broker took nothing', async () => {
    const bench = new RelayBench();
    const broker = new Asked({ clock: bench.clock });
    await bench.relay({}, {}, { broker }).start();
    await bench.write(order(1));
    await bench.clock.advance(5_000);
    const gone = new Error('unknown topic');
    broker.failWith(({ topic }) =>
      topic === 'orders' ? { kind: 'unavailable', error: gone } : null,
    );
    await bench.write(order(2), stock(1));
    await bench.clock.advance(300);
    broker.failWith(undefined);
    await bench.clock.advance(60_000);
    expect(broker.asked.filter((topic) => topic === 'orders').length).toBeGreaterThan(1);
    expect(broker.asked.filter((topic) => topic === 'stock')).toHaveLength(1);
    expect(broker.published).toHaveLength(3);
  });

  it('sends nothing of which the right to send it ended while it waited for a topic', async () => {
    const clock = new VirtualClock();
    const broker = new Asked({ clock });
    const gate = new Gate();
    broker.gates.set('orders', gate);
    const publisher = new TopicPublisher({ broker, clock, ensureMs: 2_000 });
    const outcomes = publisher.publish([order(1), stock(1)], 500);
    await clock.advance(600);
    gate.open();
    expect(await outcomes).toEqual([{ kind: 'expired' }, { kind: 'expired' }]);
    expect(broker.batches).toEqual([]);
    expect(await publisher.publish([order(1)], Infinity)).toEqual([{ kind: 'acknowledged' }]);
  });
});
