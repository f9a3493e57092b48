import { inspect } from 'node:util';
import { SAGA_STATUSES } from '@sagaz/core';
import { InvalidSagaFilterError, InvalidStartError } from './errors.js';

const OPTIONS = new Set(['idempotencyKey', 'tenant', 'manager', 'standalone']);
/**
 * Control characters, among them NUL, which PostgreSQL stores in no text, and halves of surrogate
 * pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;
const LONGEST_KEY = 500;

/**
 * Checks options that the compiler has not checked. Without this a misspelt or missing key would start
 * a second saga in silence although the caller relies on one.
 *
 * @throws InvalidStartError
 */
export function checkStart(saga: unknown, options: object): void {
  if (typeof saga !== 'function') {
    throw new InvalidStartError(
      shown(saga),
      'it is no class',
      'Give the saga class. Where its import is undefined, two files import each other.',
    );
  }
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) {
    throw new InvalidStartError(
      saga.name,
      `there is no option '${unknown}'`,
      `Give one of ${[...OPTIONS].join(', ')}.`,
    );
  }
  for (const name of ['idempotencyKey', 'tenant']) {
    if (!Object.hasOwn(options, name)) continue;
    const value: unknown = Reflect.get(options, name);
    const least = name === 'tenant' ? 0 : 1;
    if (
      typeof value === 'string' &&
      value.length >= least &&
      value.length <= LONGEST_KEY &&
      !UNPRINTABLE.test(value)
    ) {
      continue;
    }
    throw new InvalidStartError(
      saga.name,
      `its ${name} is ${shown(value)}`,
      `Give a text of ${least} to ${LONGEST_KEY} characters without control characters, or leave it out.`,
    );
  }
}

/** @throws InvalidSagaFilterError */
export function checkStatuses(statuses: readonly unknown[] | undefined): void {
  const known: readonly unknown[] = SAGA_STATUSES;
  if (statuses === undefined) return;
  const given: readonly unknown[] = Array.isArray(statuses) ? statuses : [statuses];
  const wrong = given.filter((status) => !known.includes(status));
  if (wrong.length > 0) throw new InvalidSagaFilterError(wrong.map(shown), SAGA_STATUSES);
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 100 ? `${text.slice(0, 100)}… (${text.length} characters)` : text;
}
