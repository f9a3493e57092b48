import { randomBytes } from 'node:crypto';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

/** The most bytes that a command may use for its tenant and its idempotency key together. */
const LONGEST = 2_600;

describeEachPostgres('the inbox store', (server) => {
  let database: InboxDatabase;

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
  });
  afterAll(() => database.drop());

  it('remembers a command by the longest tenant and idempotency key that are allowed', async () => {
    const { inbox, transactions } = database.store(0);
    const text = randomBytes(LONGEST).toString('base64url');
    const [tenant, key] = [text.slice(0, 1_000), text.slice(1_000, LONGEST)];
    const begin = () =>
      transactions.run((transaction) =>
        inbox.beginCommand(tenant, key, 60_000, transaction, 1_000),
      );
    expect(await begin()).toEqual({ kind: 'first' });
    expect(await begin()).toMatchObject({ kind: 'applied' });
  });
});
