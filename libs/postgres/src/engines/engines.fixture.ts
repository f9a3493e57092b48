import { createDatabase, type PostgresServer } from '@sagaz/test-support';
import { SagazClient, SagazPool } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A database with the tables of engines, and connections for their registries. */
export async function openEngines(server: PostgresServer) {
  const db = await createDatabase(server);
  const source = { kind: 'url' as const, url: db.url };
  const settings = {
    applicationName: 'spec',
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 5_000,
  };
  const pool = new SagazPool({ ...settings, source, max: 2, logger: quiet });
  await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
  await pool.end();
  return { db, connect: () => new SagazClient(source, settings) };
}
