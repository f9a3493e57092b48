import { runContract, sagaStoreContract, type SagaStoreFixture } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { openSagas, type OpenSagas } from './sagas.fixture.js';

describeEachPostgres('PostgreSQL keeps', (server) => {
  let open: OpenSagas;
  let another: ReturnType<OpenSagas['another']>;
  beforeAll(async () => {
    open = await openSagas(server);
    another = open.another();
  });
  afterAll(async () => {
    await another.pool.end();
    await open.close();
  });

  runContract<SagaStoreFixture>(
    'the contract of saga stores',
    sagaStoreContract,
    () =>
      Promise.resolve({
        sagas: open.store,
        other: another.store,
        engines: open.engines,
        transactions: open.transactions,
        messagesOf: open.messagesOf,
        pass: async (ms: number) => {
          await sleep(ms);
        },
      }),
    { it, describe },
  );
});
