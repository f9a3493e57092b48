import { describe, expect, it } from 'vitest';
import type { Broker, Message, PublishOutcome } from '../../ports/index.js';
import { outboxMessage, RelayBench, textOf, textsOf, VirtualClock } from '../../testing/index.js';
import { UnansweredPublishes } from './unanswered-publishes.js';

const taken: PublishOutcome = { kind: 'acknowledged' };

/** A broker whose client never answers a publish with a message of the keys `hang…` in it. */
function benchWithHangs() {
  const bench = new RelayBench();
  const sent: string[] = [];
  const batches: number[] = [];
  const broker = new Proxy<Broker>(bench.broker, {
    get: (target, name) => {
      if (name === 'publish') {
        return (batch: readonly Message[]): Promise<readonly PublishOutcome[]> => {
          batches.push(batch.length);
          if (batch.some(({ key }) => key.startsWith('hang'))) return new Promise(() => undefined);
          sent.push(...batch.map(textOf));
          return Promise.resolve(batch.map(() => taken));
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  return { bench, sent, batches, broker };
}

describe('publishes that are never answered', () => {
  it('do not keep the messages beside them, nor those that come later, for good', async () => {
    const { bench, sent, broker } = benchWithHangs();
    const hanging = Array.from({ length: 6 }, (_, n) => outboxMessage(`hang${n}`, 1));
    const beside = Array.from({ length: 40 }, (_, n) => outboxMessage(`a${n}`, 1));
    await bench.write(...hanging, ...beside);
    await bench.relay({}, {}, { broker }).start();
    await bench.clock.advance(20 * 60_000);
    await bench.write(outboxMessage('late', 1));
    await bench.clock.advance(60_000);
    expect(sent.filter((one) => one.startsWith('a')).sort()).toHaveLength(40);
    expect(sent).toContain('late:1');
  });

  it('use up the attempts of their message, and of no other', async () => {
    const { bench, sent, broker } = benchWithHangs();
    await bench.write(
      outboxMessage('hang', 1),
      outboxMessage('hang', 2),
      ...Array.from({ length: 7 }, (_, n) => outboxMessage(`a${n}`, 1)),
    );
    await bench.relay({}, {}, { broker }).start();
    await bench.clock.advance(60 * 60_000);
    expect(sent).toHaveLength(7);
    expect(textsOf(await bench.outbox.listDeadLetters({}))).toEqual(['hang:1', 'hang:2']);
  });

  it('are bounded in bytes: then nothing more is given to the client, and the slots go to others', async () => {
    const { bench, batches, broker } = benchWithHangs();
    const payload = new Uint8Array(8 * 1_024 * 1_024);
    // Rows in memory share their payload.
    const large = Array.from({ length: 30 }, (_, n) => ({
      ...outboxMessage(`hang${n}`, n),
      payload,
    }));
    await bench.write(...large);
    const relay = bench.relay(
      { retry: { attempts: 1_000, backoffMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 } },
      {},
      { broker },
    );
    await relay.start();
    await bench.clock.advance(10 * 60_000);
    expect(batches.length).toBeGreaterThanOrEqual(8);
    expect(batches.length).toBeLessThanOrEqual(12);
    expect(relay.problem()).not.toBeNull();
    expect(relay.leases()).toBe(0);
  });

  it('are few at a time: no further key is given to a client that answers nothing', async () => {
    const { bench, batches, broker } = benchWithHangs();
    await bench.write(...Array.from({ length: 40 }, (_, n) => outboxMessage(`hang${n}`, n)));
    await bench.relay({ batchSize: 1 }, {}, { broker }).start();
    // The first is not waited for any more after 35 seconds.
    await bench.clock.advance(34_000);
    expect(batches).toHaveLength(4);
  });

  it('are bounded in number, also those that are not waited for any more', () => {
    const unanswered = new UnansweredPublishes(new VirtualClock());
    const publishes = Array.from({ length: 1_000 }, () => {
      const publish = unanswered.add([]);
      publish.givenUp();
      return publish;
    });
    expect([unanswered.isFull, unanswered.leavesRoom]).toEqual([true, false]);
    publishes[0]?.settled();
    expect([unanswered.isFull, unanswered.leavesRoom]).toEqual([false, true]);
  });
});
