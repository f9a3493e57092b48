import {
  parseDuration,
  parseRetry,
  type Duration,
  type RetryOptions,
  type RetryPolicy,
  errorText,
} from '@sagaz/core';
import { z } from 'zod';
import { landingOption } from './landing-option.js';
import { signingOption } from './signing-option.js';
import { brokerDriver, storeDriver } from './drivers.js';

const RELAY_RETRY: RetryPolicy = Object.freeze({
  attempts: 20,
  backoffMs: 500,
  factor: 2,
  maxDelayMs: 300_000,
  jitter: 0.5,
});

const INBOX_RETRY: RetryPolicy = Object.freeze({
  attempts: 8,
  backoffMs: 200,
  factor: 2,
  maxDelayMs: 60_000,
  jitter: 0.5,
});

/** The longest duration that `parseDuration` takes. */
const LONGEST: Duration = '3650d';

const whole = (least: number, most: number, standard: number) => {
  const expected = `give a whole number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}`;
  return z
    .int({ error: expected })
    .min(least, { error: expected })
    .max(most, { error: expected })
    .default(standard);
};

const flag = (standard: boolean) => z.boolean({ error: 'give true or false' }).default(standard);

/** Milliseconds. */
const duration = (standard: Duration, least: Duration, most: Duration) =>
  z
    .unknown()
    .optional()
    .transform((given, context): number => {
      try {
        const ms = parseDuration(given === undefined ? standard : given);
        if (ms >= parseDuration(least) && ms <= parseDuration(most)) return ms;
      } catch {
        // Said below, in the words of an option.
      }
      context.addIssue({
        code: 'custom',
        message: `give a duration from ${least} to ${most}: a number of milliseconds, or a text such as '200ms', '30s', '5m'`,
      });
      return z.NEVER;
    });

/** Milliseconds; null: no limit. */
const timeLimit = (standard: Duration, least: Duration, most: Duration) =>
  z
    .unknown()
    .optional()
    .transform((given, context): number | null => {
      if (given === false) return null;
      try {
        const ms = parseDuration(given === undefined ? standard : given);
        if (ms >= parseDuration(least) && ms <= parseDuration(most)) return ms;
      } catch {
        // Said below, in the words of an option.
      }
      context.addIssue({
        code: 'custom',
        message: `give a duration from ${least} to ${most}, such as '30s' or '5m', or false for no limit`,
      });
      return z.NEVER;
    });

const retry = (standard: RetryPolicy) =>
  z
    .strictObject(
      {
        attempts: z.unknown().optional(),
        backoff: z.unknown().optional(),
        factor: z.unknown().optional(),
        maxDelay: z.unknown().optional(),
        jitter: z.unknown().optional(),
      },
      { error: 'give { attempts, backoff, factor, maxDelay, jitter }' },
    )
    .optional()
    .transform((given, context): RetryPolicy => {
      // The options are checked one by one, so that every wrong one is named.
      for (const [name, value] of Object.entries(given ?? {})) {
        try {
          parseRetry(
            { [name]: value },
            {
              ...standard,
              maxDelayMs: 0,
              backoffMs: 0,
            },
          );
        } catch (error) {
          context.addIssue({ code: 'custom', path: [name], message: remedyOf(error) });
        }
      }
      if (context.issues.length > 0) return z.NEVER;
      try {
        return parseRetry(given as RetryOptions | undefined, standard);
      } catch (error) {
        // Each value is possible by itself, so the one that is limited by the other is named.
        context.addIssue({ code: 'custom', path: ['maxDelay'], message: remedyOf(error) });
        return z.NEVER;
      }
    });

function remedyOf(error: unknown): string {
  const remedy: unknown =
    error instanceof Error && 'remedy' in error ? error.remedy : errorText(error);
  const text = String(remedy).replace(/\.$/, '');
  return text.charAt(0).toLowerCase() + text.slice(1);
}

const SERVICE = "give the service's name: letters, digits, '.', '-' and '_', at most 100";

export const optionsSchema = z.strictObject(
  {
    service: z
      .string({ error: SERVICE })
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, { error: SERVICE }),
    store: storeDriver.optional(),
    stores: z
      .record(z.string(), storeDriver, {
        error: 'give stores by connection: { orders: postgres({ url }) }',
      })
      .default({}),
    broker: brokerDriver.optional(),
    roles: z
      .strictObject(
        { engine: flag(true), relay: flag(true), consume: flag(true) },
        {
          error: 'give { engine, relay, consume }; in the environment a list: engine,relay,consume',
        },
      )
      .prefault({}),
    engine: z
      .strictObject(
        {
          maxInFlight: whole(1, 100_000, 500),
          lease: duration('15s', '1s', '1h'),
          maxStarts: whole(1, 1_000_000, 5_000),
          maxWaits: whole(1, 1_000_000, 10_000),
          keep: z
            .strictObject(
              {
                completed: timeLimit('30d', '1m', LONGEST),
                compensated: timeLimit('30d', '1m', LONGEST),
                terminated: timeLimit('30d', '1m', LONGEST),
                partiallyCommitted: timeLimit('90d', '1m', LONGEST),
                keys: timeLimit('90d', '1m', LONGEST),
              },
              { error: 'give { completed, compensated, terminated, partiallyCommitted, keys }' },
            )
            .prefault({}),
        },
        { error: 'give { maxInFlight, lease, maxStarts, maxWaits, keep }' },
      )
      .prefault({}),
    relay: z
      .strictObject(
        {
          batchSize: whole(1, 10_000, 1_000),
          pollInterval: duration('1s', '1ms', '1h'),
          publishTimeout: duration('5s', '1ms', '1h'),
          lease: duration('10s', '1s', '1h'),
          retry: retry(RELAY_RETRY),
          onDead: z
            .record(z.string(), z.enum(['skip', 'block'], { error: "give 'skip' or 'block'" }), {
              error: "give 'skip' or 'block' by topic",
            })
            .default({}),
        },
        { error: 'give { batchSize, pollInterval, publishTimeout, lease, retry, onDead }' },
      )
      .prefault({}),
    inbox: z
      .strictObject(
        {
          retry: retry(INBOX_RETRY),
          concurrency: whole(1, 1_000, 10),
          timeout: timeLimit('15m', '1ms', '30d'),
          maxCrashes: whole(1, 100, 3),
          keepDone: duration('7d', '1m', LONGEST),
          keepKeys: duration('30d', '1m', LONGEST),
          landing: landingOption,
        },
        { error: 'give { retry, concurrency, timeout, maxCrashes, keepDone, keepKeys, landing }' },
      )
      .prefault({}),
    signing: signingOption,
    migrate: z
      .union([z.literal('auto'), z.boolean()], { error: "give 'auto', true or false" })
      .default('auto'),
    startTimeout: duration('5m', '0ms', '1d'),
    shutdownTimeout: duration('10s', '1ms', '1h'),
  },
  {
    error:
      'give { service, store } at least, and of { stores, broker, roles, engine, relay, inbox, signing, migrate, startTimeout, shutdownTimeout } what you need',
  },
);

/** The options as they are in effect: complete, durations in milliseconds. */
export type EffectiveOptions = z.output<typeof optionsSchema>;
