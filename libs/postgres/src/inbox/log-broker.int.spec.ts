import type { WakeUps } from '@sagaz/core';
import { logBrokerContract, runContract, type LogTrialStore } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { schemaName } from '../connection/index.js';
import { PgOutboxStore } from '../outbox/index.js';
import { InboxDatabase } from './inbox.fixture.js';

/** Only polling finds what was committed. */
const noWakeUps: WakeUps = { hint: () => undefined, on: () => () => undefined, listening: false };

describeEachPostgres('a service over a log that is cut into partitions', (server) => {
  let database: InboxDatabase;
  beforeAll(async () => {
    database = await InboxDatabase.open(server);
  });
  afterAll(() => database.drop());

  function storeOf(process: 0 | 1): LogTrialStore {
    const { pool, transactions, inbox } = database.store(process);
    const parts = { pool, transactions, schema: schemaName('sagaz'), wakeUps: noWakeUps };
    return { inbox, transactions, outbox: new PgOutboxStore(parts) };
  }

  runContract(
    'works with its store in PostgreSQL',
    logBrokerContract,
    async () => ({
      store: storeOf(0),
      newStore: () => Promise.resolve(storeOf(1)),
      landed: database.landed,
    }),
    { it, describe },
  );
});
