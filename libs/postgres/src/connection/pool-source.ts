import type { PoolConfig } from 'pg';
import { COLUMN_TYPES } from './column-types.js';
import { NoDatabaseError } from './connection.errors.js';

/** The database: a url, or the options of the application's pool. */
export type PoolSource =
  | { readonly kind: 'url'; readonly url: string }
  /** The options of the application's pool, as that pool keeps them. */
  | { readonly kind: 'application'; readonly options: object };

export interface ConnectionSettings {
  /** The name of the connections in `pg_stat_activity`. */
  readonly applicationName: string;
  /** How long opening a connection may take, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Milliseconds after which the server ends a statement; 0: never. */
  readonly statementTimeoutMs: number;
}

// Options of the application's pool that are not used for Sagaz's connections: limits for its own
// queries, hooks that expect its own clients, and modes of the driver.
const NOT_OURS = [
  'query_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'Client',
  'Promise',
  'log',
  'verify',
  'onConnect',
  'maxUses',
  'min',
  'poolSize',
  'allowExitOnIdle',
  'pipeline',
  'binary',
  'stream',
] as const;

/**
 * Makes the server detect a vanished client within seconds instead of the hours that TCP takes, and a
 * frozen one within a minute. Until then its locks on saga and lease rows would keep all other
 * transactions waiting.
 */
const SERVER_SETTINGS =
  '-c client_connection_check_interval=5000 -c tcp_user_timeout=15000 -c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5' +
  ' -c idle_in_transaction_session_timeout=60000' +
  // Single statements run at the role's default isolation level, and a function that waits for a lock
  // must not read with a snapshot from before its wait.
  ' -c default_transaction_isolation=read\\ committed';

/** Options for `pg`, with a flag for whether the server is asked for settings that a pooler may refuse. */
export function connectionOptions(
  source: PoolSource,
  settings: ConnectionSettings,
  tuned: boolean,
): PoolConfig {
  const base: PoolConfig = source.kind === 'url' ? urlOptions(source.url) : copyOf(source.options);
  for (const name of NOT_OURS) Reflect.deleteProperty(base, name);
  base.application_name = settings.applicationName;
  base.connectionTimeoutMillis = settings.connectTimeoutMs;
  base.keepAlive = true;
  base.keepAliveInitialDelayMillis = 10_000;
  base.types = COLUMN_TYPES;
  if (tuned) {
    base.options = [base.options, SERVER_SETTINGS].filter(Boolean).join(' ');
    base.statement_timeout = settings.statementTimeoutMs;
  } else {
    Reflect.deleteProperty(base, 'statement_timeout');
  }
  return base;
}

function urlOptions(url: string): PoolConfig {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new NoDatabaseError(
      'The url of the database does not begin with "postgres://" or "postgresql://".',
    );
  }
  return { connectionString: url };
}

/**
 * All own properties with their descriptors: `pg` keeps the password (and the key of a TLS
 * certificate) where neither a spread nor Object.assign sees it.
 */
function copyOf(options: object): PoolConfig {
  const copy: PoolConfig = {};
  return Object.defineProperties(copy, Object.getOwnPropertyDescriptors(options));
}

/** Host, port and database for messages; never user or password. */
export function placeOf(source: PoolSource): string {
  if (source.kind === 'url') {
    try {
      const url = new URL(source.url);
      return `${url.host || url.searchParams.get('host') || 'localhost'}${url.pathname}`;
    } catch {
      return 'of the given url';
    }
  }
  const options: PoolConfig = source.options;
  if (typeof options.connectionString === 'string') {
    return placeOf({ kind: 'url', url: options.connectionString });
  }
  return `${options.host ?? 'localhost'}:${options.port ?? 5432}/${options.database ?? ''}`;
}

/**
 * Whether the settings were refused: by a pooler that does not know a start-up parameter (PgBouncer:
 * 08P01), a platform without `client_connection_check_interval` (22023), or a server without a setting
 * (42704).
 */
export function refusesSettings(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === '22023' || error.code === '42704') return true;
  return error.code === '08P01' && /startup parameter/i.test(error.message);
}
