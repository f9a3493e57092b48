import { inboxStoreContract, runContract } from '@sagaz/core/testing';
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

  runContract(
    'keeps the contract',
    inboxStoreContract,
    () =>
      Promise.resolve({
        store: database.store(0),
        newStore: () => Promise.resolve(database.store(1)),
      }),
    { it, describe },
  );
});
