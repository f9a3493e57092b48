import { setTimeout as sleep } from 'node:timers/promises';
import {
  engineRegistryContract,
  runContract,
  type EngineRegistryFixture,
} from '@sagaz/core/testing';
import { describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { schemaName, type SagazClient } from '../connection/index.js';
import { openEngines } from './engines.fixture.js';
import { PgEngineRegistry } from './pg-engine-registry.js';

describeEachPostgres('PostgreSQL keeps', (server) => {
  let db: TestDatabase;
  let one: SagazClient;
  let two: SagazClient;
  beforeAll(async () => {
    const opened = await openEngines(server);
    db = opened.db;
    one = opened.connect();
    two = opened.connect();
  });
  afterAll(async () => {
    await one.end();
    await two.end();
    await db.drop();
  });

  runContract<EngineRegistryFixture>(
    'the contract of engine registries',
    engineRegistryContract,
    () =>
      Promise.resolve({
        engines: new PgEngineRegistry(one, schemaName('sagaz')),
        otherEngines: new PgEngineRegistry(two, schemaName('sagaz')),
        pass: async (ms: number) => {
          await sleep(ms);
        },
      }),
    { it, describe },
  );
});
