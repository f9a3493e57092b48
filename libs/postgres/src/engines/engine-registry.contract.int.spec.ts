import { setTimeout as sleep } from 'node:timers/promises';
import {
  engineRegistryContract,
  runContract,
  type EngineRegistryFixture,
} from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { SagazClient, SagazPool, schemaName } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';
import { PgEngineRegistry } from './pg-engine-registry.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describeEachPostgres('PostgreSQL keeps', (server) => {
  let db: TestDatabase;
  let one: SagazClient;
  let two: SagazClient;
  beforeAll(async () => {
    db = await createDatabase(server);
    const source = { kind: 'url' as const, url: db.url };
    const settings = {
      applicationName: 'spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 5_000,
    };
    const pool = new SagazPool({ ...settings, source, max: 2, logger: quiet });
    await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
    await pool.end();
    one = new SagazClient(source, settings);
    two = new SagazClient(source, settings);
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
