import { SagazError, hideFromLogs, valueText } from '@sagaz/core';
import { NoDatabaseError, type PoolSource } from './connection/index.js';

/** Connections that Sagaz keeps beside those of the application. */
export interface PostgresPoolOptions {
  /**
   * Connections at most, from 2 to 1,000. Default 10. Up to three more stay open: for heartbeats, for
   * listening and, in a process that relays, for its leases.
   */
  readonly max?: number;
  /** How long opening a connection may take, in milliseconds, at most a day. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds after which the server ends a statement of Sagaz's, at most a day; 0: never. Default 30,000. */
  readonly statementTimeoutMs?: number;
}

/** Options of `postgres()`. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:5432/database`. Default: the database of the application's own
   * connection, over a pool of Sagaz's own.
   */
  readonly url?: string;
  /** The schema of Sagaz's tables. Default `sagaz`. */
  readonly schema?: string;
  readonly pool?: PostgresPoolOptions;
}

/** An option of `postgres()` or `postgresBroker()` has an impossible value or an unknown name. */
export class InvalidPostgresOptionError extends SagazError {
  readonly code = 'SAGAZ_INVALID_POSTGRES_OPTION';

  constructor(
    readonly option: string,
    readonly given: unknown,
    remedy: string,
    readonly driver: 'postgres()' | 'postgresBroker()' = 'postgres()',
  ) {
    super(`The option ${option} of ${driver} is ${valueText(given)}.`, remedy);
    hideFromLogs(this, 'given');
  }
}

/**
 * Checks options that the compiler may not have checked. An unknown option, or a text instead of
 * options, would make the driver use another database or schema than its user expects.
 *
 * @throws InvalidPostgresOptionError
 */
export function assertOptions(
  given: unknown,
  names: readonly string[],
  driver: 'postgres()' | 'postgresBroker()',
  path = '',
): void {
  const remedy = `Give { ${names.join(', ')} } or some of them.`;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const option = path === '' ? 'object' : path.slice(0, -1);
    throw new InvalidPostgresOptionError(option, given, remedy, driver);
  }
  for (const [name, value] of Object.entries(given)) {
    if (names.includes(name)) continue;
    const text = `There is no such option. ${remedy}`;
    throw new InvalidPostgresOptionError(`${path}${name}`, value, text, driver);
  }
}

/** Returns the database to use. Throws `NoDatabaseError`. */
export function sourceOf(url: string | undefined, connection: unknown): PoolSource {
  if (url !== undefined) return { kind: 'url', url };
  if (typeof connection === 'object' && connection !== null) {
    return { kind: 'application', options: connection };
  }
  throw new NoDatabaseError('postgres() was given no url, and the application has no connection.');
}

/**
 * Timers of Node.js and time limits of PostgreSQL take at most 24 days, and a timer beyond that fires at
 * once.
 */
const DAY_MS = 86_400_000;
const MOST_CONNECTIONS = 1_000;

/** Checks the options and adds defaults. Throws `InvalidPostgresOptionError`. */
export function poolOptions(given: PostgresPoolOptions): Required<PostgresPoolOptions> {
  assertOptions(given, ['max', 'connectTimeoutMs', 'statementTimeoutMs'], 'postgres()', 'pool.');
  const { max = 10, connectTimeoutMs = 5_000, statementTimeoutMs = 30_000 } = given;
  if (!Number.isInteger(max) || max < 2 || max > MOST_CONNECTIONS) {
    throw new InvalidPostgresOptionError(
      'pool.max',
      max,
      `Give a whole number from 2 to ${String(MOST_CONNECTIONS)}.`,
    );
  }
  for (const [name, value, least] of [
    ['connectTimeoutMs', connectTimeoutMs, 1],
    ['statementTimeoutMs', statementTimeoutMs, 0],
  ] as const) {
    if (Number.isInteger(value) && value >= least && value <= DAY_MS) continue;
    const remedy = `Give whole milliseconds from ${String(least)} to ${String(DAY_MS)}, which is a day.`;
    throw new InvalidPostgresOptionError(`pool.${name}`, value, remedy);
  }
  return { max, connectTimeoutMs, statementTimeoutMs };
}
