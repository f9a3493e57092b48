import { type Broker, type StoreFailure, type Subscription } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { Gate, VirtualClock } from '@sagaz/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerAbsentError, KeptSubscription } from './index.js';

const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const refused = Object.assign(new Error('no grant: sagaz broker grant'), { code: '42501' });
const absent = new BrokerAbsentError('memory', 'away', 1_000, away);

describe('a subscription that is kept', () => {
  let clock: VirtualClock;
  let lines: string[];
  let failures: StoreFailure[];
  let tries: number;
  let closed: number;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    failures = [];
    tries = 0;
    closed = 0;
  });

  const subscription: Subscription = {
    close: async () => void (closed += 1),
    problem: () => null,
  };

  /** @param answer what each try is answered with */
  function kept(answer: () => Promise<Subscription>): KeptSubscription {
    const broker: Broker = new MemoryBroker({ clock });
    broker.subscribe = () => {
      tries += 1;
      return answer();
    };
    const say = (line: string): void => void lines.push(line);
    return new KeptSubscription({
      broker,
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      onFailure: (failure) => failures.push(failure),
      request: {
        group: 'billing',
        topics: ['orders'],
        concurrency: 1,
        handle: () => Promise.resolve({ kind: 'done' }),
      },
    });
  }

  it('looks each half second while the broker is absent, logs nothing, and comes with it', async () => {
    let there = false;
    const one = kept(() => (there ? Promise.resolve(subscription) : Promise.reject(absent)));
    one.begin();
    await clock.advance(600_000);
    expect(tries).toBe(1_201);
    expect({ lines, failures }).toEqual({ lines: [], failures: [] });
    expect(one.problem()).toMatch(/'billing' gets no messages.*ECONNREFUSED/);
    there = true;
    await clock.advance(500);
    expect(one.problem()).toBeNull();
    await one.close(1_000);
    expect(closed).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('is tried again after a refusal, which is said once with the remedy and each minute', async () => {
    let granted = false;
    const one = kept(() => (granted ? Promise.resolve(subscription) : Promise.reject(refused)));
    one.begin();
    await clock.advance(50_000);
    expect(tries).toBeGreaterThan(4);
    expect(lines).toHaveLength(1);
    expect(one.problem()).toMatch(/refuses the subscription.*'billing'.*sagaz broker grant/);
    expect(failures).toEqual(Array.from({ length: tries }, () => 'refused'));
    granted = true;
    await clock.advance(10_000);
    expect(one.problem()).toBeNull();
    expect(lines.at(-1)).toContain('works again');
  });

  it('may be opened with the start: a refusal ends that, a broker that is away does not', async () => {
    const denied = kept(() => Promise.reject(refused));
    await expect(denied.open()).rejects.toBe(refused);
    await clock.advance(60_000);
    expect(tries).toBe(1);

    for (const error of [away, absent, new BrokerAbsentError('memory', 'refused', 1, refused)]) {
      tries = 0;
      const waiting = kept(() =>
        tries < 3 ? Promise.reject(error) : Promise.resolve(subscription),
      );
      await waiting.open();
      expect(waiting.problem()).toContain('billing');
      await clock.advance(60_000);
      expect(waiting.problem()).toBeNull();
      expect(tries).toBe(3);
    }
  });

  it('has the messages of the other topics while one cannot be made ready, and names it', async () => {
    const broker = new MemoryBroker({ clock });
    broker.setTopicAway('stock', new Error('no leader'));
    const subscribed: (readonly string[])[] = [];
    broker.subscribe = async ({ topics }) => {
      subscribed.push(topics);
      return subscription;
    };
    const say = (line: string): void => void lines.push(line);
    const one = new KeptSubscription({
      broker,
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      onFailure: (failure) => failures.push(failure),
      request: {
        group: 'billing',
        topics: ['orders', 'stock'],
        concurrency: 1,
        handle: () => Promise.resolve({ kind: 'done' }),
      },
    });
    one.begin();
    await clock.advance(60_000);
    expect(subscribed).toEqual([['orders']]);
    expect(one.problem()).toMatch(
      /'billing' gets no messages of a topic.*'stock' ready: no leader/,
    );
    broker.setTopicAway('stock', null);
    await clock.advance(60_000);
    expect(subscribed).toEqual([['orders'], ['orders', 'stock']]);
    expect(closed, 'the subscription to fewer topics').toBe(1);
    expect(one.problem()).toBeNull();
    await one.close(1_000);
    expect({ closed, pending: clock.pending }).toEqual({ closed: 2, pending: 0 });
  });

  it('ends a start that waits for it with the topic that cannot be made ready', async () => {
    const broker = new MemoryBroker({ clock });
    broker.setTopicAway('orders', new Error('no right to make it'));
    const one = new KeptSubscription({
      broker,
      clock,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      onFailure: (failure) => failures.push(failure),
      request: {
        group: 'shop.engine',
        topics: ['orders'],
        concurrency: 1,
        handle: () => Promise.resolve({ kind: 'done' }),
      },
    });
    await expect(one.open()).rejects.toMatchObject({ code: 'SAGAZ_TOPIC_AWAY', topic: 'orders' });
    expect(clock.pending).toBe(0);
  });

  it('is tried no more once it is closed, and closes what a try under way still opens', async () => {
    const waiting = kept(() => Promise.reject(away));
    waiting.begin();
    await clock.settle();
    await waiting.close(1_000);
    await clock.advance(60_000);
    expect({ tries, pending: clock.pending }).toEqual({ tries: 1, pending: 0 });

    for (const how of ['begin', 'open'] as const) {
      closed = 0;
      const gate = new Gate();
      const late = kept(async () => {
        await gate.pass();
        return subscription;
      });
      void late[how]();
      await gate.reached;
      const closing = late.close(1_000);
      gate.open();
      await closing;
      expect({ how, closed }).toEqual({ how, closed: 1 });
    }
  });
});
