import { SagazError } from '../errors/index.js';

/**
 * A value that is neither a number of milliseconds nor a text such as `'30s'` was given as a duration.
 */
export class InvalidDurationError extends SagazError {
  readonly code = 'SAGAZ_INVALID_DURATION';

  constructor(
    readonly option: string,
    readonly given: unknown,
    problem: string,
    remedy = "Give a number of milliseconds, or a text of a number and a unit: '200ms', '30s', '5m', '1h', '2d'.",
  ) {
    super(`${option}: ${problem}.`, remedy);
  }
}
