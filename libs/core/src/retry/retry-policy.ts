import { SagazError, valueText } from '../errors/index.js';
import type { Duration } from './duration.js';
import { parseDuration } from './duration.js';

/** How often to try, and how long to wait before the next attempt. All durations are in milliseconds. */
export interface RetryPolicy {
  /** The number of attempts, the first one included. */
  readonly attempts: number;
  readonly backoffMs: number;
  /** Each further delay is multiplied by this. */
  readonly factor: number;
  readonly maxDelayMs: number;
  /** The random share of each delay, 0 to 1. */
  readonly jitter: number;
}

/**
 * A `RetryPolicy` as users write it. Each value that is left out comes from the default of the place
 * where it is used.
 */
export interface RetryOptions {
  /** The number of attempts, the first one included; `1` never retries. */
  readonly attempts?: number;
  /** Delay before the second attempt. */
  readonly backoff?: Duration;
  /** Each further delay is multiplied by this; at least 1. Default 2. */
  readonly factor?: number;
  /** The longest delay. */
  readonly maxDelay?: Duration;
  /**
   * The random share of each delay, 0 to 1, so that attempts which failed together are not repeated
   * together. Default 0.5: the delay is between half and all of its length.
   */
  readonly jitter?: number;
}

/**
 * The default of steps: 5 attempts; the first delay is 200 ms, each further one twice as long, at most
 * 30 s; half of it is random.
 */
export const STEP_RETRY: RetryPolicy = Object.freeze({
  attempts: 5,
  backoffMs: 200,
  factor: 2,
  maxDelayMs: 30_000,
  jitter: 0.5,
});

/**
 * The default of compensations: 12 attempts (some ten minutes), because a compensation that fails for
 * good needs a person.
 */
export const COMPENSATION_RETRY: RetryPolicy = Object.freeze({
  attempts: 12,
  backoffMs: 500,
  factor: 2,
  maxDelayMs: 120_000,
  jitter: 0.5,
});

/** A retry option is outside its range. */
export class InvalidRetryPolicyError extends SagazError {
  readonly code = 'SAGAZ_INVALID_RETRY_POLICY';

  constructor(
    readonly option: string,
    readonly given: unknown,
    expected: string,
  ) {
    super(`${option}: ${valueText(given)} is not allowed.`, `Give ${expected}.`);
  }
}

/**
 * @param option - named in errors, for example `retry`
 * @throws InvalidRetryPolicyError, InvalidDurationError
 */
export function parseRetry(
  options: RetryOptions | undefined,
  defaults: RetryPolicy = STEP_RETRY,
  option = 'retry',
): RetryPolicy {
  if (options === undefined) return defaults;
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const expected = '{ attempts, backoff, factor, maxDelay, jitter } or some of them';
    throw new InvalidRetryPolicyError(option, given, expected);
  }
  const number = (
    name: 'attempts' | 'factor' | 'jitter',
    allowed: (value: number) => boolean,
    expected: string,
  ): number => {
    const value: unknown = options[name];
    if (value === undefined) return defaults[name];
    if (typeof value === 'number' && allowed(value)) return value;
    throw new InvalidRetryPolicyError(`${option}.${name}`, value, expected);
  };
  const attempts = number(
    'attempts',
    (value) => Number.isInteger(value) && value >= 1,
    'a whole number of 1 or more',
  );
  const factor = number('factor', (v) => v >= 1 && v <= 100, 'a number from 1 to 100');
  const jitter = number('jitter', (v) => v >= 0 && v <= 1, 'a number from 0 to 1');
  const backoffMs =
    options.backoff === undefined
      ? defaults.backoffMs
      : parseDuration(options.backoff, `${option}.backoff`);
  const maxDelayMs =
    options.maxDelay === undefined
      ? // A longer first delay than the default cap is meant: the cap gives way.
        Math.max(defaults.maxDelayMs, backoffMs)
      : parseDuration(options.maxDelay, `${option}.maxDelay`);
  if (maxDelayMs < backoffMs) {
    throw new InvalidRetryPolicyError(
      `${option}.maxDelay`,
      options.maxDelay,
      `at least the backoff, ${backoffMs} ms`,
    );
  }
  return Object.freeze({ attempts, backoffMs, factor, maxDelayMs, jitter });
}

/**
 * Milliseconds to wait after a failed attempt: they grow exponentially up to a limit, and a part is
 * random.
 *
 * @param attempt - the attempt that failed, from 1
 * @param random - from 0 (inclusive) to 1 (exclusive); give your own to make the delay repeatable
 */
export function delayOf(
  policy: RetryPolicy,
  attempt: number,
  random: () => number = Math.random,
): number {
  // After very many attempts the delay overflows to Infinity, which the limit corrects; but 0 times
  // Infinity is NaN.
  const growth = Math.min(policy.factor ** Math.max(0, attempt - 1), Number.MAX_VALUE);
  const capped = Math.min(policy.backoffMs * growth, policy.maxDelayMs);
  return Math.round(capped * (1 - policy.jitter * random()));
}
