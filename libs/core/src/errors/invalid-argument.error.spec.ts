import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { InvalidArgumentError } from './index.js';

it('an argument that was refused is told without passwords, also when the error is printed', () => {
  const given = { url: 'postgres://me:two words@db/x', password: 'two words' };
  const error = new InvalidArgumentError('Sagas.find', 'limit', given, 'Give a number.');
  expect(error.given).toBe(given);
  for (const text of [error.message, inspect(error), JSON.stringify(error)]) {
    expect(text).not.toMatch(/two|words/);
  }
});
