import fc from 'fast-check';
import { expect, it } from 'vitest';
import { copyOf } from './index.js';

/** Every object in a value, however deep. */
function parts(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(parts)];
}

it('is equal to any JSON value, and shares no object with it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const copy = copyOf(value);
      expect(copy).toStrictEqual(value);
      const shared = new Set(parts(value));
      expect(parts(copy).filter((part) => shared.has(part))).toEqual([]);
    }),
  );
});

it('keeps names that objects have by themselves, and makes nobody a prototype', () => {
  const value: unknown = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"toString":2}');
  const copy = copyOf(value);
  expect(copy).toStrictEqual(value);
  expect(Reflect.get(Object(copy) as object, 'admin')).toBeUndefined();
});
