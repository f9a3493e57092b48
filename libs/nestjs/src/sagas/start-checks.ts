import { SAGA_STATUSES, startKeyProblem, valueText } from '@sagaz/core';
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
export function checkStart(saga: unknown, options: unknown): void {
  if (typeof saga !== 'function') {
    throw new InvalidStartError(
      valueText(saga),
      'it is no class',
      'Give the saga class. Where its import is undefined, two files import each other.',
    );
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidStartError(
      saga.name,
      `its options are ${valueText(options)}`,
      `Give { ${[...OPTIONS].join(', ')} } or some of them.`,
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
  let tenant = '';
  let key = '';
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
      if (name === 'tenant') tenant = value;
      else key = value;
      continue;
    }
    throw new InvalidStartError(
      saga.name,
      `its ${name} is ${valueText(value)}`,
      `Give a text of ${least} to ${LONGEST_KEY} characters without control characters, or leave it out.`,
    );
  }
  const found = startKeyProblem(tenant, key);
  if (found !== null) throw new InvalidStartError(saga.name, `its ${found.problem}`, found.remedy);
}

/** @throws InvalidSagaFilterError */
export function checkStatuses(statuses: readonly unknown[] | undefined): void {
  const known: readonly unknown[] = SAGA_STATUSES;
  if (statuses === undefined) return;
  const given: readonly unknown[] = Array.isArray(statuses) ? statuses : [statuses];
  const wrong = given.filter((status) => !known.includes(status));
  if (wrong.length > 0) throw new InvalidSagaFilterError(wrong.map(valueText), SAGA_STATUSES);
}
