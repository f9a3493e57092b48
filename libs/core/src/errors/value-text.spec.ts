import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anythingThrown } from './hostile.fixture.js';
import { valueText } from './index.js';

const circle: Record<string, unknown> = {};
circle['self'] = circle;

const ofItsOwn = {
  get total(): never {
    throw new Error('a getter');
  },
  toString(): never {
    throw new Error('its toString');
  },
  [Symbol.for('nodejs.util.inspect.custom')](): never {
    throw new Error('its inspect');
  },
};

describe('a value in a message', () => {
  it.each([
    ["it's", `"it's"`],
    ['a\nb\u2028c', "'a\\nb\\u2028c'"],
    [2n, '2n'],
    [Symbol('x'), 'Symbol(x)'],
    [-0, '-0'],
    [undefined, 'undefined'],
    [{ a: { b: 1 }, c: [1] }, '{ a: [Object], c: [Array] }'],
    [circle, '<ref *1> { self: [Circular *1] }'],
    ['x'.repeat(501), `'${'x'.repeat(198)}… (501 characters)`],
    ['postgres://me:hunter2@db/orders', "'postgres://me:***@db/orders'"],
    [`postgres://me:${'s'.repeat(1_000)}@db`, "'postgres://me:***@db' (1017 characters)"],
    [{ password: 'hunter2', user: 'me' }, "{ password: '***', user: 'me' }"],
  ])('is shown as a person reads it: %o', (value, text) => {
    expect(valueText(value)).toBe(text);
  });

  it('runs no code of the value', () => {
    expect(valueText(ofItsOwn)).toContain('total: [Getter]');
  });

  it('is one bounded line, whatever it is, and no error', () => {
    fc.assert(
      fc.property(anythingThrown, (make) => {
        const text = valueText(make());
        expect(text.length).toBeLessThan(250);
        expect(text).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029]/u);
      }),
      { numRuns: 1_000 },
    );
  });
});
