import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type pg from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import { flightCases } from '../../libs/postgres/src/connection/flights.fixture.js';
import { emptyFolder, installInto } from '../workspace/packed-packages.js';

/** The oldest version of pg that the peers allow, and one before that, whose protocol code is another. */
describe.each(['8.11.6', '8.13.0'])('statements that are sent together by pg %s', (version) => {
  let folder: string;
  let database: TestDatabase;
  let driver: typeof pg;

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('The run has no PostgreSQL.');
    database = await createDatabase(server);
    folder = await emptyFolder();
    await installInto(folder, { type: 'commonjs', dependencies: { pg: version } });
    const loaded: unknown = createRequire(join(folder, 'package.json'))('pg');
    if (!isPg(loaded)) throw new Error('The installed pg has no Client.');
    driver = loaded;
  }, 120_000);
  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  flightCases(async () => ({
    direct: database.url,
    url: database.url,
    connect: async (config) => {
      const client = new driver.Client(config);
      await client.connect();
      return client;
    },
  }));
});

function isPg(value: unknown): value is typeof pg {
  return typeof value === 'object' && value !== null && 'Client' in value;
}
