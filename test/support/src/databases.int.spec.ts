import pg from 'pg';
import { expect, it } from 'vitest';
import { createDatabase, describeEachPostgres, postgresServers } from './index.js';

it('always has an embedded PostgreSQL 18', () => {
  expect(postgresServers()[0]).toMatchObject({ name: 'pg18', version: 18 });
});

describeEachPostgres('a test database', (server) => {
  it('is empty, takes tables, and is gone after drop, open connections or not', async () => {
    const database = await createDatabase(server);
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    const { rows } = await client.query('SELECT 1 FROM pg_tables WHERE schemaname = $1', [
      'public',
    ]);
    expect(rows).toEqual([]);
    await client.query('CREATE TABLE t (id int)');
    await database.drop();
    await ended;
    await expect(new pg.Client({ connectionString: database.url }).connect()).rejects.toThrow(
      'does not exist',
    );
  });
});
