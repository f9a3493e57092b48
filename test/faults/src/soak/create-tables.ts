import { systemClock, type Logger } from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
import { BOOKS, SCHEMAS } from './tables.js';
import { BROKER_TRAIL, STORE_TRAIL } from './trail.js';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Makes the tables of Sagaz, the application's books and the trail of messages in two empty databases. */
export async function createTables(storeUrl: string, brokerUrl: string): Promise<void> {
  const environment = { service: 'soak', logger: silent, clock: systemClock };
  for (const schema of [SCHEMAS.orders, SCHEMAS.stock]) {
    const store = await postgres({ url: storeUrl, schema }).create(environment);
    await store.start({ migrate: true });
    await store.close();
  }
  const driver = postgresBroker({ url: brokerUrl, schema: SCHEMAS.broker, migrate: true });
  await (await driver.create(environment)).close();
  await execute(storeUrl, `${BOOKS}${STORE_TRAIL}`);
  await execute(brokerUrl, BROKER_TRAIL);
}

async function execute(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
