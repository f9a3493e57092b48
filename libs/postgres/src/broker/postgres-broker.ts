import {
  guardedLogger,
  VERSION,
  type Broker,
  type BrokerDriver,
  type BrokerEnvironment,
} from '@sagaz/core';
import {
  checkServer,
  NoDatabaseError,
  SagazClient,
  SagazPool,
  schemaName,
  type PoolSource,
  type SchemaName,
} from '../connection/index.js';
import { assertOptions, InvalidPostgresOptionError } from '../postgres-options.js';
import { Migrator } from '../migrations/index.js';
import { checkPrivileges } from '../privileges/index.js';
import { PgWakeUps } from '../wake-ups/index.js';
import { neededPrivileges } from './needed-privileges.js';
import { PgBroker } from './pg-broker.js';

/** Options of {@link postgresBroker}. */
export interface PostgresBrokerOptions {
  /**
   * The url of the broker's database: `postgres://user:password@host:5432/database`. Every service and
   * relay of a system uses the same one. Default: the database of the application, which is enough if
   * all services share it.
   */
  readonly url?: string;
  /** Default `sagaz_broker`. */
  readonly schema?: string;
  /**
   * `max`: connections of each process at most, default 10. One more stays open for listening, and one for
   * the leases of each group.
   */
  readonly pool?: { readonly max?: number };
  /** Whether the tables are created and migrated at the start. Default `'auto'`: outside production. */
  readonly migrate?: 'auto' | boolean;
  /** How long the messages of a process that died wait for another one, in milliseconds. Default 10,000. */
  readonly leaseTtlMs?: number;
  /** How often the broker looks for messages when no hint comes, in milliseconds. Default 1,000. */
  readonly pollIntervalMs?: number;
}

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * A broker in PostgreSQL, so that a first system needs no other server: topics, consumer groups,
 * order per key, redelivery after a crash. Kafka, RabbitMQ and the others take over by changing this
 * one option.
 *
 * @throws InvalidPostgresOptionError, InvalidSchemaNameError
 *
 * The driver's `create` throws `NoDatabaseError`, `DatabaseUnreachableError`, `UnsuitableServerError`,
 * `MissingPrivilegesError` when the role lacks privileges that the roles of the process need, or
 * `SchemaOutdatedError` where it may not migrate.
 */
export function postgresBroker(options: PostgresBrokerOptions = {}): BrokerDriver {
  checkOptions(options);
  const schema = schemaName(options.schema ?? 'sagaz_broker');
  return {
    kind: 'broker',
    name: 'postgres',
    version: VERSION,
    create: (environment) => createBroker(options, schema, environment),
  };
}

const NAMES = ['url', 'schema', 'pool', 'migrate', 'leaseTtlMs', 'pollIntervalMs'];
const HOUR_MS = 3_600_000;

/** @throws InvalidPostgresOptionError */
function checkOptions(options: PostgresBrokerOptions): void {
  assertOptions(options, NAMES, 'postgresBroker()');
  assertOptions(options.pool ?? {}, ['max'], 'postgresBroker()', 'pool.');
  const { migrate = 'auto' } = options;
  if (migrate !== 'auto' && typeof migrate !== 'boolean') {
    const remedy = "Give 'auto', true or false.";
    throw new InvalidPostgresOptionError('migrate', migrate, remedy, 'postgresBroker()');
  }
  for (const [name, value, least, most] of [
    ['pool.max', options.pool?.max, 2, 1_000],
    ['leaseTtlMs', options.leaseTtlMs, 1_000, HOUR_MS],
    ['pollIntervalMs', options.pollIntervalMs, 1, HOUR_MS],
  ] as const) {
    if (value === undefined) continue;
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    const remedy = `Give a whole number from ${least} to ${most}.`;
    throw new InvalidPostgresOptionError(name, value, remedy, 'postgresBroker()');
  }
}

async function createBroker(
  options: PostgresBrokerOptions,
  schema: SchemaName,
  { service, logger: given, clock, connection, faults, roles = [] }: BrokerEnvironment,
): Promise<Broker> {
  const logger = guardedLogger(given);
  const source = sourceOf(options.url, connection);
  const settings = {
    applicationName: `${service} (sagaz broker)`,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  const max = options.pool?.max ?? MAX_CONNECTIONS;
  const pool = new SagazPool({ source, max, logger, ...settings });
  try {
    await checkServer(pool, logger);
    const migrator = new Migrator({ pool, schema: schema.text, set: 'broker' });
    const migrates = mayMigrate(options.migrate);
    if (migrates) await migrator.migrate();
    // Before the migrations are read, so that a role that may not even do that is told of all its
    // missing grants.
    if (roles.length > 0) await checkPrivileges(pool, schema, neededPrivileges(roles));
    if (!migrates) await migrator.assertCurrent();
  } catch (error) {
    await pool.end();
    throw error;
  }
  const wakeUps = new PgWakeUps({ source, settings, pool, schema, clock, logger });
  await wakeUps.start();
  const { leaseTtlMs, pollIntervalMs } = options;
  return new PgBroker({
    pool,
    schema,
    wakeUps,
    openLeases: () => new SagazClient(source, settings, (askedAt) => pool.suspect(askedAt)),
    clock,
    logger,
    ...(faults === undefined ? {} : { faults }),
    consumer: {
      ...(leaseTtlMs === undefined ? {} : { leaseTtlMs }),
      ...(pollIntervalMs === undefined ? {} : { pollIntervalMs }),
    },
  });
}

function sourceOf(url: string | undefined, connection: unknown): PoolSource {
  if (url !== undefined) return { kind: 'url', url };
  if (typeof connection === 'object' && connection !== null) {
    return { kind: 'application', options: connection };
  }
  throw new NoDatabaseError('The Postgres broker is not told where its database is.');
}

function mayMigrate(migrate: 'auto' | boolean = 'auto'): boolean {
  return migrate === 'auto' ? process.env.NODE_ENV !== 'production' : migrate;
}
