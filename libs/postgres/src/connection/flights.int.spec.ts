import {
  createDatabase,
  describeEachPostgres,
  describePgBouncer,
  startPgBouncer,
  type TestDatabase,
} from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import { flightCases } from './flights.fixture.js';

async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  await client.connect();
  return client;
}

describeEachPostgres('statements that are sent together', (server) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase(server);
  });
  afterAll(() => db.drop());
  flightCases(async () => ({ direct: db.url, url: db.url, connect }));
});

describePgBouncer('statements that are sent together behind PgBouncer', (server) => {
  let db: TestDatabase;
  let url: string;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    db = await createDatabase(server);
    const bouncer = await startPgBouncer(db.url);
    ({ url } = bouncer);
    stop = () => bouncer.stop();
  });
  afterAll(async () => {
    await stop();
    await db.drop();
  });
  describe('in transaction mode', () => {
    flightCases(async () => ({ direct: db.url, url, connect }), true);
  });
});
