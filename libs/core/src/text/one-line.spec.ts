import { describe, expect, it } from 'vitest';
import { oneLine } from './index.js';

describe('a text that is to be one line', () => {
  it.each([
    ['a\nb\r\nc', 'a\\nb\\r\\nc'],
    ['\u001b[2Kgone', '\\u001b[2Kgone'],
    ['a\u0000b\u0085c\u2028d\u2029e', 'a\\u0000b\\u0085c\\u2028d\\u2029e'],
    ['a\u202egpj.exe', 'a\\u202egpj.exe'],
    ['Grüße, 東京 🙂', 'Grüße, 東京 🙂'],
  ])('of %j is %j', (given, expected) => {
    expect(oneLine(given)).toBe(expected);
  });
});
