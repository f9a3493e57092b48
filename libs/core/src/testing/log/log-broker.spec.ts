import { describe, it } from 'vitest';
import { systemClock } from '../../clock/index.js';
import { MemoryStore } from '../../memory/index.js';
import { landedEffects } from '../../memory/landed-effects.fixture.js';
import type { Message } from '../../ports/index.js';
import {
  brokerContract,
  brokerUpkeepContract,
  LogBroker,
  logBrokerContract,
  LogServer,
  runContract,
  type BrokerUpkeepFixture,
} from '../index.js';

async function fixture(): Promise<BrokerUpkeepFixture & { dispose(): Promise<void> }> {
  const server = new LogServer({ clock: systemClock });
  const open: LogBroker[] = [];
  const newBroker = async (): Promise<LogBroker> => {
    const broker = new LogBroker({ server, clock: systemClock, drainMs: 1_000 });
    open.push(broker);
    return broker;
  };
  return {
    broker: await newBroker(),
    newBroker,
    poison: (message: Message) => ({ ...message, payload: new Uint8Array(1_024 * 1_024 + 1) }),
    dispose: async () => {
      await Promise.all(open.map((broker) => broker.die()));
    },
  };
}

const runner = { it, describe };
runContract('a log that is cut into partitions', brokerContract, fixture, runner);
runContract('the upkeep of such a log', brokerUpkeepContract, fixture, runner);
runContract(
  'a service with its store in memory over such a log',
  logBrokerContract,
  async () => {
    const store = new MemoryStore();
    return {
      store,
      newStore: () => Promise.resolve(store),
      landed: landedEffects(store.transactions),
    };
  },
  runner,
);
