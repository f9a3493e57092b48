import { expect, it } from 'vitest';
import { passableTraceState } from './index.js';

const members = (count: number): string =>
  Array.from({ length: count }, (_, n) => `k${n}=v`).join(',');

it.each([
  ['one member', 'vendor=1'],
  ['as many members as are allowed', members(32)],
  ['as many characters as are allowed', `k=${'x'.repeat(510)}`],
])('passes on a tracestate of %s', (_, text) => {
  expect(passableTraceState(text)).toBe(text);
});

it.each<[string, unknown]>([
  ['too many characters', `k=${'x'.repeat(511)}`],
  ['too many members', members(33)],
  ['a line break', 'k=1\r\nx: y'],
  ['half a character', 'k=\ud800'],
  ['nothing', ''],
  ['no text', 7],
  ['several headers', ['a=1', 'b=2']],
])('drops a tracestate of %s, which fails nothing', (_, text) => {
  expect(passableTraceState(text)).toBeUndefined();
});
