import { readFileSync, readdirSync } from 'node:fs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SagazPool, schemaName } from '../connection/index.js';
import { migrationsOf } from './migration.js';
import { lockNumber, Migrator } from './migrator.js';
import { MIGRATION_SOURCES } from './sources.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function poolOf(url: string, statementTimeoutMs = 30_000): SagazPool {
  return new SagazPool({
    source: { kind: 'url', url },
    applicationName: 'migrator spec',
    connectTimeoutMs: 5_000,
    statementTimeoutMs,
    max: 2,
    logger: quiet,
  });
}

async function runSql(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

describe('the embedded migrations', () => {
  const root = new URL('../../../../migrations/', import.meta.url);

  it.each([
    ['store', root],
    ['broker', new URL('broker/', root)],
  ] as const)('of the %s are, byte for byte, the files in migrations/', (set, folder) => {
    const files = readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .sort()
      .map((file) => ({
        name: file.replace(/\.sql$/, ''),
        text: readFileSync(new URL(file, folder), 'utf8'),
      }));
    expect(MIGRATION_SOURCES[set]).toEqual(files);
  });
});

describeEachPostgres('the migrator', (server) => {
  let db: TestDatabase;
  const pools: SagazPool[] = [];
  const open = (url = db.url): SagazPool => {
    const pool = poolOf(url);
    pools.push(pool);
    return pool;
  };
  const migrator = (url?: string, schema = 'sagaz'): Migrator =>
    new Migrator({ pool: open(url), schema, set: 'store' });

  beforeEach(async () => {
    db = await createDatabase(server);
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
    await db.drop();
  });

  const names = migrationsOf('store', schemaName('sagaz')).map(({ name }) => name);

  it('applies everything once and then finds nothing to do', async () => {
    const one = migrator();
    expect((await one.status()).pending).toEqual(names);
    expect(await one.migrate()).toEqual(names);
    expect(await one.migrate()).toEqual([]);
    const status = await one.status();
    expect(status.pending).toEqual([]);
    expect(status.applied.map(({ name }) => name)).toEqual(names);
    expect(status.applied[0]?.appliedAt).toBeInstanceOf(Date);
    expect(await one.assertCurrent()).toEqual([]);
  });

  it('applies once when five processes start at the same moment', async () => {
    const results = await Promise.all(
      Array.from({ length: 5 }, () => migrator()).map((one) => one.migrate()),
    );
    expect(results.filter((applied) => applied.length > 0)).toEqual([names]);
  });

  it('finds a migration that is missing in the middle, by name, and applies nothing', async () => {
    const one = migrator();
    await one.migrate();
    const [, second = ''] = names;
    const last = names.at(-1) ?? '';
    await runSql(db.url, `DELETE FROM sagaz.migration WHERE name = '${second}'`);
    expect(await one.status()).toMatchObject({ pending: [second], skipped: [second] });
    for (const ask of [() => one.migrate(), () => one.assertCurrent(), () => one.sql()]) {
      await expect(ask()).rejects.toMatchObject({
        code: 'SAGAZ_MIGRATION_MISSING',
        migration: second,
        applied: last,
      });
    }
    await runSql(db.url, `DELETE FROM sagaz.migration`);
    expect(await one.status()).toMatchObject({ pending: names, skipped: [] });
  });

  it('keeps two schemas of one database apart', async () => {
    await Promise.all([migrator(db.url, 'one').migrate(), migrator(db.url, 'two').migrate()]);
    const { rows } = await runSql(
      db.url,
      "SELECT table_schema AS s, count(*)::int AS n FROM information_schema.tables WHERE table_schema IN ('one', 'two', 'sagaz') GROUP BY 1 ORDER BY 1",
    );
    expect(rows).toHaveLength(2);
    expect(rows[0].n).toBe(rows[1].n);
  });

  it('leaves nothing behind when a migration fails half way', async () => {
    await runSql(db.url, 'CREATE SCHEMA sagaz; CREATE TABLE sagaz.saga_mail (x int)');
    const migrating = migrator().migrate();
    await expect(migrating).rejects.toMatchObject({ code: 'SAGAZ_SCHEMA_OCCUPIED' });
    await expect(migrating).rejects.toThrow(
      /"sagaz" cannot be migrated.*relation "saga_mail" already exists.* --schema/,
    );
    const { rows } = await runSql(
      db.url,
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'sagaz'",
    );
    expect(rows).toEqual([{ table_name: 'saga_mail' }]);
  });

  it('refuses a past migration that was edited, by name', async () => {
    await migrator().migrate();
    await runSql(db.url, "UPDATE sagaz.migration SET checksum = 'edited' WHERE version = 1");
    await expect(migrator().migrate()).rejects.toMatchObject({
      code: 'SAGAZ_MIGRATION_CHANGED',
      migration: names[0],
    });
    await expect(migrator().assertCurrent()).rejects.toThrow(/never edit a migration/);
  });

  it('refuses to migrate a schema that is newer, and lets an old version start on it', async () => {
    await migrator().migrate();
    await runSql(db.url, "INSERT INTO sagaz.migration VALUES (999, '0999_later', 'x')");
    await expect(migrator().migrate()).rejects.toMatchObject({
      code: 'SAGAZ_SCHEMA_TOO_NEW',
      applied: '0999_later',
    });
    expect(await migrator().assertCurrent()).toEqual(['0999_later']);
  });

  it('says what is missing where it may not migrate', async () => {
    await expect(migrator().assertCurrent()).rejects.toMatchObject({
      code: 'SAGAZ_SCHEMA_OUTDATED',
      pending: names,
    });
  });

  it('names the command as it has to be typed for these tables', async () => {
    const missing = (schema: string, set: 'store' | 'broker'): Promise<unknown> =>
      new Migrator({ pool: open(), schema, set }).assertCurrent();
    await expect(missing('sagaz', 'store')).rejects.toThrow('Run `npx sagaz migrate` before');
    await expect(missing('mine', 'store')).rejects.toThrow('`npx sagaz migrate --schema mine`');
    await expect(missing('sagaz_broker', 'broker')).rejects.toThrow('`npx sagaz migrate --broker`');
    await expect(missing('b', 'broker')).rejects.toThrow('`npx sagaz migrate --broker --schema b`');
  });

  it('does not take the tables of the store for those of the broker', async () => {
    await migrator().migrate();
    const broker = new Migrator({ pool: open(), schema: 'sagaz', set: 'broker' });
    for (const ask of ['status', 'migrate', 'assertCurrent'] as const) {
      await expect(broker[ask]()).rejects.toThrow(
        'The schema "sagaz" holds other tables of Sagaz (0001_sagas) than those of the Postgres broker. Give store',
      );
    }
    expect((await migrator().status()).pending).toEqual([]);
  });

  it('prints a script that does what migrating does', async () => {
    await runSql(db.url, await migrator().sql());
    expect((await migrator().status()).pending).toEqual([]);
    expect(await migrator().sql()).toBe('-- The schema sagaz is up to date.\n');
  });

  it('gives up with the remedy when somebody else keeps the lock', async () => {
    const holder = new pg.Client({ connectionString: db.url });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT pg_advisory_xact_lock($1)', [lockNumber(schemaName('sagaz'))]);
    await expect(migrator().migrate({ withinMs: 100 })).rejects.toMatchObject({
      code: 'SAGAZ_MIGRATION_TIMEOUT',
      withinMs: 100,
    });
    await holder.query('ROLLBACK');
    await holder.end();
    expect(await migrator().migrate()).toEqual(names);
  });

  it('needs no superuser, only the right to create a schema, or an empty schema of its own', async () => {
    const role = `worker_${Math.random().toString(36).slice(2, 10)}`;
    const database = new URL(db.url).pathname.slice(1);
    await runSql(
      db.url,
      `CREATE ROLE ${role} LOGIN PASSWORD 'secret' NOSUPERUSER; REVOKE CREATE ON DATABASE "${database}" FROM PUBLIC; CREATE SCHEMA sagaz AUTHORIZATION ${role}`,
    );
    const url = new URL(db.url);
    url.username = role;
    url.password = 'secret';
    try {
      expect(await migrator(url.href).migrate()).toEqual(names);
      await migrator(db.url, 'closed').migrate();
      const { rows } = await runSql(url.href, 'SELECT current_user AS name');
      const [who] = rows as { name: string }[];
      // A pooler may log everybody in as one user, who may read everything.
      if (who?.name === role) {
        await expect(migrator(url.href, 'closed').status()).rejects.toThrow(
          /may not read the schema "closed".*USAGE ON SCHEMA closed/,
        );
      }
    } finally {
      await Promise.all(pools.splice(0).map((pool) => pool.end()));
      await runSql(db.url, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    }
  });
});
