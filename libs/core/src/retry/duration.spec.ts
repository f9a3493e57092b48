import { describe, expect, it } from 'vitest';
import { InvalidDurationError, parseDuration, parseTimeLimit } from './index.js';

describe('a duration', () => {
  it.each([
    [0, 0],
    [1_500, 1_500],
    ['200ms', 200],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['0.4ms', 0],
  ])('%s is %d ms', (given, ms) => {
    expect(parseDuration(given)).toBe(ms);
  });

  it.each([
    ['5 parsecs', "'5 parsecs' is not a duration"],
    ['', "'' is not a duration"],
    ['10', "'10' is not a duration"],
    ['-1s', "'-1s' is not a duration"],
    ['1e3ms', "'1e3ms' is not a duration"],
    [-1, '-1 is negative'],
    [Number.NaN, 'NaN is not a duration'],
    [Number.POSITIVE_INFINITY, 'Infinity is longer than ten years'],
    ['5000d', "'5000d' is longer than ten years"],
    [null, 'null is not a duration'],
    [{}, '{} is not a duration'],
  ])('%j is refused with the option, what was given and the remedy', (given, problem) => {
    expect(() => parseDuration(given, 'retry.backoff')).toThrow(InvalidDurationError);
    expect(() => parseDuration(given, 'retry.backoff')).toThrow(
      `retry.backoff: ${problem}. Give a number of milliseconds, or a text of a number and a unit: '200ms', '30s', '5m', '1h', '2d'.`,
    );
  });
});

describe('a time limit', () => {
  it.each([
    [undefined, 900_000],
    [false, null],
    ['30s', 30_000],
    [5, 5],
  ])('%j is %j ms', (given, ms) => {
    expect(parseTimeLimit(given)).toBe(ms);
  });

  it.each([
    [0, '0 leaves no time at all. Give a time'],
    ['0.1ms', "'0.1ms' leaves no time at all. Give a time"],
    [true, 'true is no time limit. Give a time'],
    [null, 'null is no time limit. Give a time'],
    [{}, '{} is no time limit. Give a time'],
    ['soon', "'soon' is not a duration. Give a number of milliseconds"],
    [-1, '-1 is negative'],
  ])('%j is refused with the option, what was given and the remedy', (given, text) => {
    expect(() => parseTimeLimit(given)).toThrow(`timeout: ${text}`);
  });
});
