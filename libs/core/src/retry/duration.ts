import { valueText } from '../errors/index.js';
import { InvalidDurationError } from './invalid-duration.error.js';

/** A number of milliseconds, or a number and a unit: `'200ms'`, `'1.5s'`, `'5m'`, `'1h'`, `'2d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The longest duration allowed: longer ones overflow in timers or in intervals of the database. */
const LONGEST_MS = 3_650 * 86_400_000;

/**
 * Milliseconds of a duration, rounded to a whole number.
 *
 * @param given - checked at run time as well, because options also come from files and the environment
 * @param option - the option's name, for the error
 * @throws InvalidDurationError
 */
export function parseDuration(given: unknown, option = 'duration'): number {
  let ms = Number.NaN;
  if (typeof given === 'number') {
    ms = given;
  } else if (typeof given === 'string') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(given);
    ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ''] ?? Number.NaN);
  }
  if (Number.isNaN(ms)) {
    throw new InvalidDurationError(option, given, `${valueText(given)} is not a duration`);
  }
  if (ms < 0) throw new InvalidDurationError(option, given, `${valueText(given)} is negative`);
  if (ms > LONGEST_MS) {
    throw new InvalidDurationError(option, given, `${valueText(given)} is longer than ten years`);
  }
  return Math.round(ms);
}

/** The time limit of an attempt: a duration, or `false` for no limit. */
export type TimeLimit = Duration | false;

/** The time limit of an attempt by default, so that every wait ends. */
export const DEFAULT_TIME_LIMIT_MS = 15 * 60_000;

/**
 * Milliseconds of a time limit; null if there is none.
 *
 * @param given - undefined means {@link DEFAULT_TIME_LIMIT_MS}
 * @param option - the option's name, for the error
 * @throws InvalidDurationError if the value is no duration, or is zero
 */
export function parseTimeLimit(given: unknown, option = 'timeout'): number | null {
  if (given === undefined) return DEFAULT_TIME_LIMIT_MS;
  if (given === false) return null;
  const remedy = "Give a time, such as '30s' or '5m', or false for no limit.";
  if (typeof given !== 'number' && typeof given !== 'string') {
    throw new InvalidDurationError(option, given, `${valueText(given)} is no time limit`, remedy);
  }
  const ms = parseDuration(given, option);
  if (ms === 0) {
    throw new InvalidDurationError(
      option,
      given,
      `${valueText(given)} leaves no time at all`,
      remedy,
    );
  }
  return ms;
}
