import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBeginning } from './json-beginning.js';

describe('the beginning of a JSON text', () => {
  it.each<[string, unknown]>([
    ['', undefined],
    ['{', {}],
    ['{"a', {}],
    ['{"a"', {}],
    ['{"a":', {}],
    ['{"a":1', {}],
    ['{"a":1,', { a: 1 }],
    ['{"a":1,"b":12', { a: 1 }],
    ['{"a":"no st', { a: 'no st…' }],
    ['{"a":"\\"\\\\', { a: '"\\…' }],
    ['{"a":"x\\', { a: 'x…' }],
    ['{"a":"x\\u00', { a: 'x…' }],
    ['{"a":{"b":[1,"c"],"d', { a: { b: [1, 'c'] } }],
    ['{"a":"},{","b":[{"c":2}', { a: '},{', b: [{ c: 2 }] }],
    ['["a","b', ['a', 'b…']],
    ['{"a":]', undefined],
    ['no JSON', undefined],
  ])('is read as far as it goes: %s', (text, value) => {
    expect(parseBeginning(text)).toStrictEqual(value);
  });

  it('never tells another value than the whole text, wherever it is cut', () => {
    const record = fc.record({
      role: fc.string({ unit: 'binary' }),
      delayMs: fc.nat(),
      error: fc.record({ message: fc.string({ unit: 'binary' }), details: fc.jsonValue() }),
    });
    fc.assert(
      fc.property(record, fc.nat(), (value, cut) => {
        const text = JSON.stringify(value);
        const told = parseBeginning(text.slice(0, cut % text.length));
        expect(isWithin(told, JSON.parse(text))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is read in time that grows with its length, however deep it goes', () => {
    expect(parseBeginning('['.repeat(8_000))).toBeInstanceOf(Array);
  });
});

/** Whether a value is the other one, or what is left of it without members and ends of texts. */
function isWithin(part: unknown, whole: unknown): boolean {
  if (part === undefined || Object.is(part, whole)) return true;
  if (typeof part === 'string' && typeof whole === 'string') {
    return part.endsWith('…') && whole.startsWith(part.slice(0, -1));
  }
  if (typeof part !== 'object' || typeof whole !== 'object' || part === null || whole === null) {
    return false;
  }
  return Object.entries(part).every(
    ([key, value]) => Object.hasOwn(whole, key) && isWithin(value, Reflect.get(whole, key)),
  );
}
