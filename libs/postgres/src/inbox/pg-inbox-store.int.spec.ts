import { inboxDeliveryContract, inboxStoreContract, runContract } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

describeEachPostgres('the inbox store', (server) => {
  let db: TestDatabase;
  let database: InboxDatabase;

  beforeAll(async () => {
    db = await createDatabase(server);
    database = await InboxDatabase.open(db.url);
  });
  afterAll(async () => {
    await database.close();
    await db.drop();
  });

  const fixture = () =>
    Promise.resolve({
      store: database.store(0),
      newStore: () => Promise.resolve(database.store(1)),
      effects: database.effects,
    });
  runContract('keeps the contract', inboxStoreContract, fixture, { it, describe });
  runContract('keeps the contract of deliveries', inboxDeliveryContract, fixture, { it, describe });
});
