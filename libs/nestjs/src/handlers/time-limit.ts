import { parseDuration, type Duration } from '@sagaz/core';

const LONGEST_MS = 30 * 86_400_000;

export const TIME_LIMIT_REMEDY =
  "Give a duration from 1 ms to 30 days ('30s', '5m', a number of milliseconds), or false for no limit.";

/** Whether the value is a valid time limit of a handler. The compiler may not have checked it. */
export function isTimeLimit(given: unknown): boolean {
  if (given === false) return true;
  try {
    const ms = parseDuration(given);
    return ms >= 1 && ms <= LONGEST_MS;
  } catch {
    return false;
  }
}

/** The time limit in milliseconds; null: none. */
export function timeLimitOf(
  given: Duration | false | undefined,
  standard: number | null,
): number | null {
  if (given === undefined) return standard;
  return given === false ? null : parseDuration(given);
}
