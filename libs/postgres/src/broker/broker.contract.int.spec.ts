import { systemClock, type Broker, type Message } from '@sagaz/core';
import { brokerContract, brokerUpkeepContract, runContract } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { quiet } from './broker.fixture.js';
import { postgresBroker } from './index.js';

describeEachPostgres('the Postgres broker', (server) => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase(server);
  });
  afterAll(() => database.drop());

  async function fixture() {
    const open: Broker[] = [];
    const newBroker = async (): Promise<Broker> => {
      const driver = postgresBroker({ url: database.url, migrate: true, leaseTtlMs: 1_000 });
      const made = await driver.create({ service: 'spec', logger: quiet, clock: systemClock });
      open.push(made);
      return made;
    };
    return {
      broker: await newBroker(),
      newBroker,
      // PostgreSQL keeps no NUL in a text.
      poison: (message: Message): Message => ({ ...message, type: 'has\u0000nul' }),
      dispose: async () => {
        await Promise.all(open.map((broker) => broker.close()));
      },
    };
  }
  runContract('keeps the contract', brokerContract, fixture, { it, describe });
  runContract('keeps the contract of upkeep', brokerUpkeepContract, fixture, { it, describe });
});
