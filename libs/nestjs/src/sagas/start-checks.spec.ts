import { describe, expect, it } from 'vitest';
import { InvalidSagaFilterError, InvalidStartError } from './errors.js';
import { checkStart, checkStatuses } from './start-checks.js';

class PlaceOrder {}

function refusal(options: unknown, ...given: readonly unknown[]): string {
  const [saga] = given.length === 0 ? [PlaceOrder] : given;
  try {
    checkStart(saga, options);
  } catch (error) {
    if (error instanceof InvalidStartError) return error.message;
    throw error;
  }
  return 'none';
}

describe('the start of a saga', () => {
  it('is refused with a key that would not do what the caller counts on', () => {
    for (const [key, said] of [
      [undefined, 'its idempotencyKey is undefined'],
      [null, 'its idempotencyKey is null'],
      ['', "its idempotencyKey is ''"],
      [7, 'its idempotencyKey is 7'],
      [{ id: 'a' }, "its idempotencyKey is { id: 'a' }"],
      ['a\0b', 'its idempotencyKey is'],
      ['\ud800', 'its idempotencyKey is'],
      ['k'.repeat(501), 'characters)'],
    ] as const) {
      expect(refusal({ idempotencyKey: key })).toContain('The saga PlaceOrder cannot be started');
      expect(refusal({ idempotencyKey: key })).toContain(said);
    }
    expect(refusal({ idempotencyKey: 'k'.repeat(500) })).toBe('none');
    expect(refusal({ tenant: '' })).toBe('none');
    expect(refusal({})).toBe('none');
  });

  it.each([null, 7, 'a', []])('is refused with options that are none: %j', (options) => {
    expect(refusal(options)).toMatch(
      /^The saga PlaceOrder cannot be started: its options are .*\. Give \{ idempotencyKey, tenant/,
    );
  });

  it('is refused with a tenant and a key that are longer together than an index holds', () => {
    const tenant = '漢'.repeat(500);
    expect(refusal({ tenant, idempotencyKey: 'ü'.repeat(500) })).toContain(
      'its tenant and idempotencyKey have 2500 bytes. Give them 2000 at most together',
    );
    expect(refusal({ tenant, idempotencyKey: 'k'.repeat(500) })).toBe('none');
  });

  it('is refused with an option that is misspelt', () => {
    expect(refusal({ idempotancyKey: 'a' })).toContain(
      "there is no option 'idempotancyKey'. Give one of idempotencyKey, tenant",
    );
  });

  it('is refused with what is no class', () => {
    expect(refusal({}, undefined)).toContain(
      'The saga undefined cannot be started: it is no class',
    );
    expect(refusal({}, 'place-order')).toContain("The saga 'place-order' cannot");
  });
});

describe('a list of sagas', () => {
  it('is refused by a status that there is not, instead of being empty', () => {
    expect(() => checkStatuses(['needs_attention'])).not.toThrow();
    expect(() => checkStatuses(['need_attention'])).toThrow(InvalidSagaFilterError);
    expect(() => checkStatuses(['need_attention'])).toThrow(
      "No saga has the status 'need_attention'. Give some of pending, running",
    );
  });
});
