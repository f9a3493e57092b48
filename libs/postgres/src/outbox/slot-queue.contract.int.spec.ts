import { runContract, slotQueueContract } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { OutboxDatabase, pass } from './outbox.fixture.js';

describeEachPostgres('the slots of the outbox', (server) => {
  let database: OutboxDatabase;
  let first: ReturnType<OutboxDatabase['process']>;
  let second: ReturnType<OutboxDatabase['process']>;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    first = database.process();
    second = database.process();
  });
  afterAll(() => database.drop());

  async function fixture() {
    await database.empty();
    return {
      queue: first.outbox,
      newQueue: () => Promise.resolve(second.outbox),
      add: first.outbox.append.bind(first.outbox),
      transactions: first.transactions,
      pass,
      ...database.locks(first),
    };
  }
  runContract('keep the contract', slotQueueContract, fixture, { it, describe });
});
