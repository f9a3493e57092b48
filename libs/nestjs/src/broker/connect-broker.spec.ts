import { type Broker, type Message, type StoreFailure } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { Gate, VirtualClock } from '@sagaz/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerAbsentError, connectBroker } from './index.js';

const away = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), {
  code: 'ECONNREFUSED',
});
const refused = Object.assign(new Error('password authentication failed'), { code: '28P01' });
const certificate = Object.assign(new Error('self-signed certificate'), {
  code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
});

const message: Message = {
  id: 'm',
  tenant: '',
  topic: 'orders',
  key: 'k',
  type: 'orders.placed',
  source: 's',
  time: '2026-01-01T00:00:00Z',
  contentType: 'application/json',
  payload: new Uint8Array(),
  headers: {},
};

/** A broker in memory that can tell what nobody serves. */
class TellingBroker extends MemoryBroker {
  closed = 0;
  unserved(): Promise<[]> {
    return Promise.resolve([]);
  }
  override async close(): Promise<void> {
    this.closed += 1;
    await super.close();
  }
}

describe('connecting to the broker', () => {
  let clock: VirtualClock;
  let lines: string[];
  let failures: StoreFailure[];
  let real: TellingBroker;
  let tries: number;
  let opened: Broker | null;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    failures = [];
    real = new TellingBroker({ clock });
    tries = 0;
    opened = null;
  });
  afterEach(() => opened?.close());

  const connecting = async (connect: () => Promise<Broker>): Promise<Broker> => {
    const say = (line: string): void => void lines.push(line);
    opened = await connectBroker({
      name: 'memory',
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      onFailure: (failure) => failures.push(failure),
      connect: () => {
        tries += 1;
        return connect();
      },
    });
    return opened;
  };

  it('gives the broker itself where it answers', async () => {
    expect(await connecting(() => Promise.resolve(real))).toBe(real);
    expect(lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it.each([refused, certificate])(
    'ends the start where the first try is refused: %s',
    async (error) => {
      await expect(connecting(() => Promise.reject(error))).rejects.toBe(error);
      expect(tries).toBe(1);
      expect(clock.pending).toBe(0);
    },
  );

  it('starts without a broker that is away: nothing is taken, and all say why', async () => {
    const broker = await connecting(() => Promise.reject(away));
    const health = await broker.health();
    const absent = health.state === 'down' ? health.error : null;
    expect(health).toMatchObject({ state: 'down', forMs: 0 });
    expect(absent).toBeInstanceOf(BrokerAbsentError);
    expect(absent).toMatchObject({
      code: 'SAGAZ_BROKER_ABSENT',
      broker: 'memory',
      failure: 'away',
      cause: away,
      message: expect.stringContaining('ECONNREFUSED 10.0.0.1:5432') as unknown,
      remedy: expect.stringContaining('messages wait in the outbox') as unknown,
    });
    const request = { group: 'g', topics: ['orders'], concurrency: 1 };
    await expect(
      broker.subscribe({ ...request, handle: () => Promise.resolve({ kind: 'done' }) }),
    ).rejects.toThrow(BrokerAbsentError);
    const [first, second] = await broker.publish([message, { ...message, id: 'n' }]);
    for (const outcome of [first, second]) {
      expect(outcome).toMatchObject({ kind: 'unavailable' });
      expect(outcome && 'error' in outcome && outcome.error).toBeInstanceOf(BrokerAbsentError);
    }
    expect(broker).toMatchObject({ name: 'memory', orderedBatches: false });
    await expect(broker.lag()).rejects.toThrow(BrokerAbsentError);
    await expect(broker.ensure(['orders'])).rejects.toThrow(BrokerAbsentError);
    expect([broker.unserved, broker.removeGroup]).toEqual([undefined, undefined]);
    expect(lines.join('\n')).toContain('The application starts without its broker memory');
  });

  it('connects for as long as it takes, without a line for each try, and then is that broker', async () => {
    const hour = 3_600_000;
    const broker = await connecting(() =>
      clock.now() < hour ? Promise.reject(away) : Promise.resolve(real),
    );
    await clock.advance(hour - 1);
    expect(await broker.health()).toMatchObject({
      state: 'down',
      error: { message: expect.stringContaining('for 3600 s') as unknown },
    });
    expect(lines.length).toBeLessThan(70);
    expect(tries).toBeGreaterThan(hour / 5_000);
    expect(new Set(failures)).toEqual(new Set(['away']));
    expect(failures).toHaveLength(tries);

    await clock.advance(5_001);
    expect(await broker.health()).toMatchObject({ state: 'up' });
    expect(await broker.publish([message])).toEqual([{ kind: 'acknowledged' }]);
    expect(real.published).toHaveLength(1);
    expect(broker.orderedBatches).toBe(true);
    expect(await broker.unserved?.()).toEqual([]);
    expect(await broker.ensure(['orders'])).toEqual([]);
    expect(await broker.lag()).toHaveLength(1);
    expect(lines.at(-1)).toContain('is there');
    expect(clock.pending).toBe(0);
    await broker.close();
    expect(real.closed).toBe(1);
  });

  it('waits 15 s for the first answer, and takes it when it comes later', async () => {
    const gate = new Gate();
    const started = connecting(async () => {
      await gate.pass();
      return real;
    });
    const broker = await clock.until(started, 15_000);
    expect(await broker.health()).toMatchObject({
      error: { message: expect.stringContaining('has not answered yet') as unknown },
    });
    await clock.advance(600_000);
    gate.open();
    await clock.settle();
    expect(await broker.health()).toMatchObject({ state: 'up' });
    expect(tries, 'a try that hangs is given no second one beside it').toBe(1);
  });

  it('says that it is refused where it is so later, and goes on trying', async () => {
    const broker = await connecting(() => Promise.reject(tries === 1 ? away : refused));
    await clock.advance(1_000);
    expect(await broker.health()).toMatchObject({ error: { failure: 'refused', cause: refused } });
    await clock.advance(60_000);
    expect(tries).toBeGreaterThan(10);
    expect(failures.at(-1)).toBe('refused');
  });

  it('tries no more once it is closed, and closes what a try under way still opens', async () => {
    const gate = new Gate();
    const broker = await connecting(async () => {
      if (tries === 1) throw away;
      await gate.pass();
      return real;
    });
    await clock.advance(1_000);
    await gate.reached;
    await broker.close();
    gate.open();
    await clock.advance(60_000);
    expect({ tries, closed: real.closed }).toEqual({ tries: 2, closed: 1 });

    tries = 0;
    const other = await connecting(() => Promise.reject(away));
    await other.close();
    expect(clock.pending).toBe(0);
    await clock.advance(60_000);
    expect(tries).toBe(1);
  });
});
