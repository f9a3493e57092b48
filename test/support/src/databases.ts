import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import type { PostgresServer } from './servers.js';

export interface TestDatabase {
  readonly url: string;
  /** Ends the connections that are left and removes the database. */
  drop(): Promise<void>;
}

/** A fresh, empty database. Call `drop()` in `afterAll`; what is left goes at the end of the run. */
export async function createDatabase(server: PostgresServer): Promise<TestDatabase> {
  const name = `${inject('sagazPostgres').databasePrefix}${randomBytes(5).toString('hex')}`;
  await administrate(server.url, `CREATE DATABASE "${name}"`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => administrate(server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
  };
}

async function administrate(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
