import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COMPENSATION_RETRY,
  InvalidDurationError,
  InvalidRetryPolicyError,
  STEP_RETRY,
  delayOf,
  parseRetry,
} from './index.js';

const without = { attempts: 10, backoffMs: 100, factor: 3, maxDelayMs: 2_000, jitter: 0 };

describe('the delay before the next attempt', () => {
  it('grows by the factor up to the cap, and stays there for ever', () => {
    const delays = [1, 2, 3, 4, 5, 10_000].map((attempt) => delayOf(without, attempt));
    expect(delays).toEqual([100, 300, 900, 2_000, 2_000, 2_000]);
  });

  it('is nothing for a backoff of nothing, however far the attempt', () => {
    expect(delayOf({ ...without, backoffMs: 0 }, 10_000)).toBe(0);
  });

  it('is drawn from the share that jitter leaves to chance', () => {
    const half = { ...without, jitter: 0.5 };
    expect(delayOf(half, 1, () => 0)).toBe(100);
    expect(delayOf(half, 1, () => 0.5)).toBe(75);
    expect(delayOf({ ...without, jitter: 1 }, 4, () => 0.999999)).toBe(0);
  });

  it('never leaves the range of its policy', () => {
    const policy = fc.record({
      attempts: fc.integer({ min: 1, max: 100 }),
      backoffMs: fc.nat(100_000),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      maxDelayMs: fc.nat(1_000_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: 1, max: 1_000_000 }),
        chance,
        (given, attempt, drawn) => {
          const delay = delayOf(given, attempt, () => drawn);
          expect(Number.isInteger(delay)).toBe(true);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(given.maxDelayMs);
        },
      ),
    );
  });
});

describe('a retry policy', () => {
  it('takes what is left out from the default in its place', () => {
    expect(parseRetry(undefined)).toBe(STEP_RETRY);
    expect(parseRetry({ attempts: 3 })).toEqual({ ...STEP_RETRY, attempts: 3 });
    expect(parseRetry({ backoff: '1s' }, COMPENSATION_RETRY)).toEqual({
      ...COMPENSATION_RETRY,
      backoffMs: 1_000,
    });
  });

  it('raises the default cap for a longer first delay, but never a cap that was given', () => {
    expect(parseRetry({ backoff: '5m' })).toMatchObject({
      backoffMs: 300_000,
      maxDelayMs: 300_000,
    });
    expect(() => parseRetry({ backoff: '5m', maxDelay: '1m' })).toThrow(
      "retry.maxDelay: '1m' is not allowed. Give at least the backoff, 300000 ms.",
    );
  });

  it.each([
    [{ attempts: 0 }, 'retry.attempts: 0 is not allowed. Give a whole number of 1 or more.'],
    [{ attempts: 1.5 }, 'retry.attempts: 1.5 is not allowed.'],
    [{ factor: 0.5 }, 'retry.factor: 0.5 is not allowed. Give a number from 1 to 100.'],
    [{ jitter: Number.NaN }, 'retry.jitter: NaN is not allowed. Give a number from 0 to 1.'],
  ])('%j is refused', (options, message) => {
    expect(() => parseRetry(options)).toThrow(InvalidRetryPolicyError);
    expect(() => parseRetry(options)).toThrow(message);
  });

  it.each([
    ['2', "'2'"],
    ['', "''"],
    [true, 'true'],
    [2n, '2n'],
    [[2], '[ 2 ]'],
    [[], '[]'],
    [null, 'null'],
    [Symbol('two'), 'Symbol(two)'],
    [Object.create(null), '[Object: null prototype] {}'],
  ])('is not made of what only looks like a number: %o', (value, shown) => {
    for (const name of ['attempts', 'factor', 'jitter']) {
      const read = (): unknown => Reflect.apply(parseRetry, undefined, [{ [name]: value }]);
      expect(read).toThrow(InvalidRetryPolicyError);
      expect(read).toThrow(`retry.${name}: ${shown} is not allowed. Give a`);
    }
    for (const name of ['backoff', 'maxDelay']) {
      const read = (): unknown => Reflect.apply(parseRetry, undefined, [{ [name]: value }]);
      expect(read).toThrow(InvalidDurationError);
      expect(read).toThrow(`retry.${name}: ${shown} is not a duration. Give`);
    }
  });

  it.each([null, 5, 'often', [3], true])('is an object of options, and not %j', (value) => {
    const read = (): unknown => Reflect.apply(parseRetry, undefined, [value]);
    expect(read).toThrow(InvalidRetryPolicyError);
    expect(read).toThrow('Give { attempts, backoff, factor, maxDelay, jitter } or some of them.');
  });
});
