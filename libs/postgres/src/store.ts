import {
  guardedLogger,
  VERSION,
  type EngineRegistry,
  type InboxStore,
  type Logger,
  type ProcessRole,
  type OutboxStore,
  type SagaStore,
  type Store,
  type StoreDriver,
  type StoreEnvironment,
  type Transactions,
  type WakeUps,
} from '@sagaz/core';
import {
  checkServer,
  PgTransactions,
  placeOf,
  SagazClient,
  SagazPool,
  schemaName,
  UnsuitableServerError,
  type ConnectionSettings,
  type PoolSource,
  type SchemaName,
} from './connection/index.js';
import { PgEngineRegistry } from './engines/index.js';
import { PgInboxStore } from './inbox/index.js';
import { Migrator } from './migrations/index.js';
import { PgOutboxStore } from './outbox/index.js';
import { checkPrivileges, STORE_NEEDS, together, TO_BEGIN } from './privileges/index.js';
import { PgSagaStore } from './sagas/index.js';
import { PgWakeUps } from './wake-ups/index.js';
import {
  assertOptions,
  poolOptions,
  sourceOf,
  type PostgresOptions,
  type PostgresPoolOptions,
} from './postgres-options.js';

/**
 * The store of sagas, outbox and inbox in PostgreSQL 14 or later:
 * `SagazModule.forRoot({ store: postgres() })`.
 *
 * @throws InvalidPostgresOptionError, InvalidSchemaNameError; and when the application starts
 * NoDatabaseError, when neither a url nor a connection is given
 */
export function postgres(options: PostgresOptions = {}): StoreDriver {
  assertOptions(options, ['url', 'schema', 'pool'], 'postgres()');
  const schema = schemaName(options.schema ?? 'sagaz');
  const pool = poolOptions(options.pool ?? {});
  return {
    kind: 'store',
    name: 'postgres',
    version: VERSION,
    create: (environment) => {
      const source = sourceOf(options.url, environment.connection);
      return Promise.resolve(new PgStore(source, schema, pool, environment));
    },
  };
}

/** The store of one database, over one pool. */
class PgStore implements Store {
  readonly name: string;
  readonly transactions: Transactions;
  readonly sagas: SagaStore;
  readonly engines: EngineRegistry;
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly #pool: SagazPool;
  readonly #heartbeats: SagazClient;
  readonly #leases: SagazClient;
  readonly #wakeUps: PgWakeUps;
  readonly #schema: SchemaName;
  readonly #logger: Logger;
  #closing: Promise<void> | null = null;

  constructor(
    source: PoolSource,
    schema: SchemaName,
    limits: Required<PostgresPoolOptions>,
    { service, logger: given, clock, faults }: StoreEnvironment,
  ) {
    const logger = guardedLogger(given);
    // The name distinguishes transactions of different databases.
    this.name = `postgres ${placeOf(source)} ${schema.text}`;
    this.#schema = schema;
    this.#logger = logger;
    const settings: ConnectionSettings = { applicationName: `sagaz ${service}`, ...limits };
    this.#pool = new SagazPool({ ...settings, source, max: limits.max, logger });
    const onSilence = (askedAt: number): void => this.#pool.suspect(askedAt);
    this.#heartbeats = new SagazClient(source, settings, onSilence);
    this.#leases = new SagazClient(source, settings, onSilence);
    const transactions = new PgTransactions(this.name, this.#pool);
    this.#wakeUps = new PgWakeUps({ source, settings, pool: this.#pool, schema, logger, clock });
    const parts = { pool: this.#pool, transactions, schema, wakeUps: this.#wakeUps };
    this.transactions = transactions;
    this.sagas = new PgSagaStore({ ...parts, logger });
    this.engines = new PgEngineRegistry(this.#heartbeats, schema);
    this.outbox = new PgOutboxStore({
      ...parts,
      leases: this.#leases,
      ...(faults === undefined ? {} : { faults }),
    });
    this.inbox = new PgInboxStore({ ...parts, leases: this.#leases });
  }

  get wakeUps(): WakeUps {
    return this.#wakeUps;
  }

  async start({
    migrate,
    roles = [],
  }: {
    readonly migrate: boolean;
    readonly roles?: readonly ProcessRole[];
  }): Promise<void> {
    await checkServer(this.#pool, this.#logger);
    const migrator = new Migrator({ pool: this.#pool, schema: this.#schema.text, set: 'store' });
    const needed = together(TO_BEGIN, ...roles.map((role) => STORE_NEEDS[role]));
    if (migrate) {
      const applied = await migrator.migrate();
      if (applied.length > 0) {
        this.#logger.info('The schema was migrated.', {
          schema: this.#schema.text,
          applied: applied.join(', '),
        });
      }
    }
    // Before the migrations are read, so that a role that may not even do that is told of all its
    // missing grants.
    await checkPrivileges(this.#pool, this.#schema, needed);
    if (!migrate) {
      const unknown = await migrator.assertCurrent();
      if (unknown.length > 0) {
        this.#logger.warn('The schema was migrated by a later version; this one runs on it.', {
          schema: this.#schema.text,
          unknown: unknown.join(', '),
        });
      }
    }
    await this.#wakeUps.start();
  }

  async health(): Promise<void> {
    const { rows } = await this.#pool.for('health').query<{ in_recovery: boolean }>({
      text: 'SELECT pg_is_in_recovery() AS in_recovery',
    });
    if (rows[0]?.in_recovery !== true) return;
    throw new UnsuitableServerError(
      this.#pool.place,
      'is a standby that only reads',
      'Connect to the primary.',
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#wakeUps.close();
    await Promise.all([this.#heartbeats.end(), this.#leases.end(), this.#pool.end()]);
  }
}
