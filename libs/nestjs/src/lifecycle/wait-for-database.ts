import { parseDuration, storeFailureOf, type Duration } from '@sagaz/core';

const DELAY_MS = 3_000;
const STANDARD: Duration = '5m';

/**
 * Options for `TypeOrmModule.forRoot` that make it wait for its database as Sagaz does: as long as the
 * server does not answer, but not if a password or the name of a database is wrong.
 *
 * ```ts
 * TypeOrmModule.forRoot({ type: 'postgres', url, ...waitForDatabase() })
 * ```
 *
 * @param startTimeout as the option of that name of `SagazModule.forRoot`, whose variable
 * `SAGAZ_START_TIMEOUT` wins over it. Default `'5m'`.
 * @throws InvalidDurationError
 */
export function waitForDatabase(startTimeout: Duration = STANDARD): {
  retryAttempts: number;
  retryDelay: number;
  /** Whether the error says that the database is away, and not that it refuses. */
  toRetry: (error: unknown) => boolean;
} {
  const variable = process.env['SAGAZ_START_TIMEOUT']?.trim();
  const given = variable === undefined || variable === '' ? startTimeout : variable;
  return {
    retryAttempts: Math.ceil(parseDuration(given, 'startTimeout') / DELAY_MS),
    retryDelay: DELAY_MS,
    toRetry: (error) => storeFailureOf(error) === 'away',
  };
}
