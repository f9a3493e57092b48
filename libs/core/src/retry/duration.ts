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

/** The longest a duration may be: timers and intervals beyond it overflow somewhere on the way. */
const LONGEST_MS = 3_650 * 86_400_000;

/**
 * Milliseconds of a duration, rounded to whole ones.
 *
 * @param given - checked at run time too: options also come from files and the environment
 * @param option - named in the error
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

/** The time limit of an attempt: a duration; `false` waives it. */
export type TimeLimit = Duration | false;

/** How long an attempt may take where nothing else is said: every wait ends. */
export const DEFAULT_TIME_LIMIT_MS = 15 * 60_000;

/**
 * Milliseconds of a time limit; null: it was waived.
 *
 * @param given - undefined: {@link DEFAULT_TIME_LIMIT_MS}
 * @param option - named in the error
 * @throws InvalidDurationError for what is no duration, and for no time at all
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
