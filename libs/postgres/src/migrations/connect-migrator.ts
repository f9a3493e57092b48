import { NoDatabaseError, SagazPool } from '../connection/index.js';
import type { MigrationSet } from './migration.js';
import { Migrator } from './migrator.js';

/** The tables that are migrated, and the server they are on. */
export interface ConnectMigratorOptions {
  /** `postgres://user:password@host:5432/database` */
  readonly url: string;
  /** `store` unless given. */
  readonly set?: MigrationSet;
  /** `sagaz`, and for the broker `sagaz_broker`, unless given. */
  readonly schema?: string;
}

/** A {@link Migrator} with a connection of its own. */
export interface ConnectedMigrator {
  readonly migrator: Migrator;
  readonly schema: string;
  /** Host, port and database; never user or password. */
  readonly place: string;
  /** Closes the connection. */
  readonly close: () => Promise<void>;
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The default schema of a set of tables. */
export function defaultSchema(set: MigrationSet): string {
  return set === 'store' ? 'sagaz' : 'sagaz_broker';
}

/**
 * Opens a migrator for a tool: a deployment script, the command line.
 *
 * @throws NoDatabaseError when the url is empty or invalid, InvalidSchemaNameError
 */
export function connectMigrator(options: ConnectMigratorOptions): ConnectedMigrator {
  const set = options.set ?? 'store';
  const schema = options.schema ?? defaultSchema(set);
  if (options.url === '') throw new NoDatabaseError('The url of the database is empty.');
  const pool = new SagazPool({
    source: { kind: 'url', url: options.url },
    applicationName: 'sagaz migrate',
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 0,
    max: 1,
    logger: silent,
  });
  return {
    migrator: new Migrator({ pool, schema, set }),
    schema,
    place: pool.place,
    close: () => pool.end(),
  };
}
