import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import type { PostgresServer } from './servers.js';

export interface TestDatabase {
  readonly url: string;
  /**
   * Removes the database, and after five seconds of waiting ends the connections that are left; those
   * of a pooler, which keeps them for longer, at once.
   */
  drop(): Promise<void>;
}

/**
 * Creates an empty database. Call `drop()` in `afterAll`; databases that are left are removed at the
 * end of the run.
 */
export async function createDatabase(server: PostgresServer): Promise<TestDatabase> {
  const name = `${inject('sagazPostgres').databasePrefix}${randomBytes(5).toString('hex')}`;
  await administrate(server.url, `CREATE DATABASE "${name}"`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: async () => {
      if (server.pooled) {
        await administrate(server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
        return;
      }
      try {
        // A pool that ends does not wait until the server has read its last message. If the server
        // ends such a connection by force in between, it fails with an error that no code listens to
        // any more.
        await administrate(server.url, `DROP DATABASE IF EXISTS "${name}"`);
      } catch (error) {
        if (!(error instanceof pg.DatabaseError && error.code === OBJECT_IN_USE)) throw error;
        await administrate(server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
      }
    },
  };
}

/** The answer of PostgreSQL when, after five seconds, others are still connected to the database. */
const OBJECT_IN_USE = '55006';

async function administrate(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
