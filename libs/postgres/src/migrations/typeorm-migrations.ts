import { schemaName } from '../connection/index.js';
import { defaultSchema } from './connect-migrator.js';
import { migrationTableSql, recordMigrationSql } from './migration-table.js';
import { migrationsOf, type Migration, type MigrationSet } from './migration.js';

/** The query runner that TypeORM gives a migration. */
export interface TypeOrmQueryRunner {
  /** Runs one statement in the migration's transaction. */
  query(sql: string): Promise<unknown>;
}

/** A class for the option `migrations` of a TypeORM DataSource. */
export interface TypeOrmMigrationClass {
  new (): {
    readonly name: string;
    /** Brings the schema one version further. */
    up(runner: TypeOrmQueryRunner): Promise<void>;
    /** Takes the version back. */
    down(runner: TypeOrmQueryRunner): Promise<void>;
  };
}

// The numbers at the end of the names. TypeORM orders migrations by these 13 digits, a date in
// milliseconds. They lie long before any application of Sagaz, so that its migrations come first, and
// differ by set.
const FIRST_STAMP: Record<MigrationSet, number> = {
  store: 1_700_000_000_000,
  broker: 1_700_000_100_000,
};

/**
 * The schema as TypeORM migrations, for teams whose deployment runs those: `migrations:
 * [...sagazTypeOrmMigrations({ schema: 'sagaz' }), …]`. They use the same record as `sagaz migrate`, so
 * a migration that was applied by one way is skipped by the other.
 *
 * @param options.schema `sagaz` for the store, `sagaz_broker` for the broker, unless given
 * @param options.set `store` unless given
 */
export function sagazTypeOrmMigrations(
  options: { readonly schema?: string; readonly set?: MigrationSet } = {},
): TypeOrmMigrationClass[] {
  const set = options.set ?? 'store';
  const schema = schemaName(options.schema ?? defaultSchema(set));
  return migrationsOf(set, schema).map((migration) => {
    const name = typeOrmName(set, migration);
    return class {
      readonly name = name;

      async up(runner: TypeOrmQueryRunner): Promise<void> {
        // The schema is looked up first, because CREATE SCHEMA IF NOT EXISTS requires the right to
        // create schemas even if the schema exists.
        const there = await runner.query(
          `SELECT 1 FROM pg_namespace WHERE nspname = '${schema.text}'`,
        );
        if (!Array.isArray(there) || there.length === 0) {
          await runner.query(`CREATE SCHEMA ${schema.quoted}`);
        }
        await runner.query(migrationTableSql(schema));
        const applied = await runner.query(
          `SELECT 1 FROM ${schema.quoted}.migration WHERE version = ${migration.version}`,
        );
        if (Array.isArray(applied) && applied.length > 0) return;
        await runner.query(migration.up);
        await runner.query(recordMigrationSql(schema, migration));
      }

      async down(runner: TypeOrmQueryRunner): Promise<void> {
        await runner.query(migration.down);
        await runner.query(
          `DELETE FROM ${schema.quoted}.migration WHERE version = ${migration.version}`,
        );
      }
    };
  });
}

function typeOrmName(set: MigrationSet, migration: Migration): string {
  const words = `sagaz_${set}_${migration.name}`.split('_').filter((word) => !/^\d+$/.test(word));
  const name = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  return `${name}${FIRST_STAMP[set] + migration.version}`;
}
