import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectMigrator } from './connect-migrator.js';
import { sagazTypeOrmMigrations } from './typeorm-migrations.js';

describe('the TypeORM migrations', () => {
  it('have names that TypeORM can order, all different', () => {
    const names = [...sagazTypeOrmMigrations(), ...sagazTypeOrmMigrations({ set: 'broker' })].map(
      (Migration) => new Migration().name,
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[A-Za-z]+\d{13}$/);
    expect(names[0]).toBe('SagazStoreSagas1700000000001');
  });

  it('refuse a schema that cannot be one', () => {
    expect(() => sagazTypeOrmMigrations({ schema: 'a"b' })).toThrow(/cannot be the name/);
  });
});

describeEachPostgres('the TypeORM migrations', (server) => {
  let db: TestDatabase;
  let dataSource: DataSource;

  beforeEach(async () => {
    db = await createDatabase(server);
    dataSource = new DataSource({
      type: 'postgres',
      url: db.url,
      migrations: [...sagazTypeOrmMigrations(), ...sagazTypeOrmMigrations({ set: 'broker' })],
    });
    await dataSource.initialize();
  });
  afterEach(async () => {
    await dataSource.destroy();
    await db.drop();
  });

  async function pending(set: 'store' | 'broker'): Promise<readonly string[]> {
    const { migrator, close } = connectMigrator({ url: db.url, set });
    try {
      return (await migrator.status()).pending;
    } finally {
      await close();
    }
  }

  it('bring store and broker up to date, and the command line agrees', async () => {
    await dataSource.runMigrations({ transaction: 'all' });
    expect(await pending('store')).toEqual([]);
    expect(await pending('broker')).toEqual([]);
    expect(await dataSource.runMigrations()).toEqual([]);
  });

  it('skip what the command line has applied', async () => {
    const { migrator, close } = connectMigrator({ url: db.url });
    await migrator.migrate();
    await close();
    await dataSource.runMigrations({ transaction: 'each' });
    expect(await pending('store')).toEqual([]);
  });

  it('can be taken back, and applied again', async () => {
    const applied = await dataSource.runMigrations({ transaction: 'all' });
    for (let i = 0; i < applied.length; i += 1) await dataSource.undoLastMigration();
    // Tables, views, sequences, functions and types; what belongs to a table goes with it.
    const left: unknown = await dataSource.query(
      `SELECT n.nspname || '.' || o.name AS name FROM pg_namespace n
       JOIN (
         SELECT relnamespace AS space, relname AS name FROM pg_class WHERE relkind <> 'i'
         UNION ALL SELECT pronamespace, proname FROM pg_proc
         UNION ALL SELECT typnamespace, typname FROM pg_type WHERE typrelid = 0 AND typelem = 0
       ) o ON o.space = n.oid
       WHERE n.nspname LIKE 'sagaz%' ORDER BY 1`,
    );
    expect(left).toEqual([{ name: 'sagaz.migration' }, { name: 'sagaz_broker.migration' }]);
    await dataSource.runMigrations({ transaction: 'all' });
    expect(await pending('store')).toEqual([]);
  });
});
