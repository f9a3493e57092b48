import { unservedLanding, type UnservedQueue, type UnservedSagas } from '@sagaz/core';
import { Groups } from './broker/index.js';
import { LIMITS, limited, NoDatabaseError, SagazPool, schemaName } from './connection/index.js';
import { PgLandingGroups } from './inbox/index.js';
import { defaultSchema, type MigrationSet } from './migrations/index.js';
import { DEFAULT_QUEUE } from './outbox/index.js';
import { findUnserved } from './sagas/index.js';
import { PgSlotQueue } from './slots/index.js';

/** The database and the set of tables. */
export interface ConnectUnservedOptions {
  /** `postgres://user:password@host:5432/database` */
  readonly url: string;
  /** `store` unless given. */
  readonly set?: MigrationSet;
  /** `sagaz`, and for the broker `sagaz_broker`, unless given. */
  readonly schema?: string;
}

/** The queues and sagas of a database that wait and that no living process takes. */
export interface Unserved {
  /** An outbox without a relay, landing queues without a process of their group; in the broker groups without a process and topics without a group. */
  readonly queues: readonly UnservedQueue[];
  /** Due sagas of a version that no living engine runs; none in the broker. */
  readonly sagas: readonly UnservedSagas[];
}

/** A connection that lists unserved queues and sagas, for a tool. */
export interface ConnectedUnserved {
  /** Lists the unserved queues and sagas. Changes nothing. @throws DatabaseUnreachableError */
  look(): Promise<Unserved>;
  /** Closes the connections. */
  close(): Promise<void>;
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
/** Sagas that wait for less than a minute may wait for an engine that is just being restarted. */
const OLDER_THAN_MS = 60_000;
const MOST_SAGAS = 1_000;

/**
 * Connects to a database to list unserved queues and sagas.
 *
 * @throws NoDatabaseError when the url is empty or invalid, InvalidSchemaNameError
 */
export function connectUnserved(options: ConnectUnservedOptions): ConnectedUnserved {
  if (options.url === '') throw new NoDatabaseError('The url of the database is empty.');
  const set = options.set ?? 'store';
  const schema = schemaName(options.schema ?? defaultSchema(set));
  const pool = new SagazPool({
    source: { kind: 'url', url: options.url },
    applicationName: 'sagaz status',
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 30_000,
    max: 2,
    logger: silent,
  });
  const outbox = new PgSlotQueue(pool, { schema, ...DEFAULT_QUEUE });
  const groups = new Groups(pool, schema);
  const landings = new PgLandingGroups(pool, schema);
  return {
    look: async () => {
      if (set === 'broker') return { queues: await groups.unserved(), sagas: [] };
      const oldestMs = await outbox.unserved();
      return {
        queues: [
          ...(oldestMs === null
            ? []
            : [{ kind: 'outbox', name: schema.text, oldestMs } satisfies UnservedQueue]),
          ...(await landings.unserved()).map(unservedLanding),
        ],
        sagas: await findUnserved(limited(pool, LIMITS.count), schema, {
          olderThanMs: OLDER_THAN_MS,
          limit: MOST_SAGAS,
        }),
      };
    },
    close: () => pool.end(),
  };
}
