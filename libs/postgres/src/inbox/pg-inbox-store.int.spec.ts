import {
  inboxDeliveryContract,
  inboxStoreContract,
  landingTrialContract,
  runContract,
} from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

describeEachPostgres('the inbox store', (server) => {
  let database: InboxDatabase;

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
  });
  afterAll(() => database.drop());

  const fixture = () =>
    Promise.resolve({
      store: database.store(0),
      newStore: () => Promise.resolve(database.store(1)),
      effects: database.effects,
      landed: database.landed,
    });
  runContract('keeps the contract', inboxStoreContract, fixture, { it, describe });
  runContract('keeps the contract of landing queues', landingTrialContract, fixture, {
    it,
    describe,
  });
  runContract('keeps the contract of deliveries', inboxDeliveryContract, fixture, { it, describe });
});
