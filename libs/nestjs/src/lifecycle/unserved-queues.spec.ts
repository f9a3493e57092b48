import type { Broker, UnservedQueue } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { VirtualClock } from '@sagaz/core/testing';
import { describe, expect, it } from 'vitest';
import { Connections } from '../enlist/index.js';
import { UnservedQueues, WorkObservers } from './index.js';

describe('the look for queues that nobody serves', () => {
  it('asks a broker that was away when the process started as soon as it can tell', async () => {
    const clock = new VirtualClock();
    const broker: Broker = new MemoryBroker({ clock });
    const say = (): void => undefined;
    const logger = { debug: say, info: say, warn: say, error: say };
    const queues = new UnservedQueues(
      broker,
      clock,
      logger,
      new Connections([]),
      new WorkObservers(logger),
    );
    queues.onApplicationBootstrap();
    await clock.advance(120_000);
    expect(queues.current).toEqual([]);

    const waiting: UnservedQueue = { kind: 'group', name: 'billing', oldestMs: 90_000 };
    broker.unserved = () => Promise.resolve([waiting]);
    await clock.advance(120_000);
    expect(queues.current).toEqual([waiting]);
    await queues.onModuleDestroy();
  });
});
