import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { payloadCopy } from './payload-copy.js';

it('copies lists and plain objects, those of another realm too', () => {
  const given: unknown = runInNewContext(`({ a: [{ b: 1 }], c: null, d: 'x' })`);
  const copy = payloadCopy(given);
  expect(copy).toEqual({ a: [{ b: 1 }], c: null, d: 'x' });
  Reflect.set(given as object, 'a', 'changed');
  expect(copy).toMatchObject({ a: [{ b: 1 }] });
});

it('keeps members that are named as those of every object', () => {
  const given: unknown = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
  const copy = payloadCopy(given);
  expect(JSON.stringify(copy)).toBe('{"__proto__":{"polluted":true},"constructor":1}');
  expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
});

it('shares what no JSON yields', () => {
  const bytes = Buffer.from('x');
  const date = new Date(0);
  expect(payloadCopy(bytes)).toBe(bytes);
  expect(payloadCopy({ date })).toHaveProperty('date', date);
  expect((payloadCopy({ date }) as { date: Date }).date).toBe(date);
});
