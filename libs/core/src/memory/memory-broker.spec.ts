import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock/index.js';
import type { Message } from '../ports/index.js';
import {
  brokerContract,
  brokerUpkeepContract,
  deliveryExtensionContract,
  runContract,
  type BrokerUpkeepFixture,
} from '../testing/index.js';
import { MemoryBroker } from './index.js';

async function fixture(): Promise<BrokerUpkeepFixture> {
  const broker = new MemoryBroker({ clock: systemClock });
  broker.failWith(({ type }) =>
    type === 'poison' ? { kind: 'rejected', error: new Error('poison') } : null,
  );
  return {
    broker,
    newBroker: () => Promise.resolve(broker),
    poison: (message: Message) => ({ ...message, type: 'poison' }),
  };
}

const runner = { it, describe };
runContract('the broker in memory', brokerContract, fixture, runner);
runContract('the upkeep of the broker in memory', brokerUpkeepContract, fixture, runner);
runContract(
  'the broker in memory with a limit for deliveries',
  deliveryExtensionContract,
  async () => {
    const broker = new MemoryBroker({ clock: systemClock, redeliverAfterMs: 150 });
    return { broker, newBroker: () => Promise.resolve(broker) };
  },
  runner,
);

describe('a broker in memory', () => {
  it.each([0, -1, Number.NaN])(
    'refuses %s ms after which it delivers again',
    (redeliverAfterMs) => {
      expect(() => new MemoryBroker({ clock: systemClock, redeliverAfterMs })).toThrow(
        /redeliverAfterMs is .* Give a number of milliseconds from 1 on/,
      );
    },
  );
});
