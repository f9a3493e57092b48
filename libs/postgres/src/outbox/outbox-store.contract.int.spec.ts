import { outboxStoreContract, runContract } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { OutboxDatabase, pass } from './outbox.fixture.js';

describeEachPostgres('the outbox', (server) => {
  let database: OutboxDatabase;
  let first: ReturnType<OutboxDatabase['process']>;
  let second: ReturnType<OutboxDatabase['process']>;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    first = database.process(20);
    second = database.process(20);
  });
  afterAll(() => database.drop());

  async function fixture() {
    await database.empty();
    return {
      outbox: first.outbox,
      newOutbox: () => Promise.resolve(second.outbox),
      transactions: first.transactions,
      pass,
      ...database.locks(first),
      mailOf: async (sagaId: string) => {
        const { rows } = await first.pool.query<{ dedupe_key: string; data: string }>({
          text: 'SELECT dedupe_key, data FROM sagaz.saga_mail WHERE saga_id = $1',
          values: [sagaId],
        });
        return rows.map((row) => ({ dedupeKey: row.dedupe_key, data: row.data }));
      },
    };
  }
  runContract('keeps the contract', outboxStoreContract, fixture, { it, describe });
});
