import { describe, expect, it } from 'vitest';
import { InvalidArgumentError } from '../errors/index.js';
import { MemoryStore } from '../memory/index.js';
import { VirtualClock } from '../testing/index.js';

const ID = '018f0000-0000-7000-8000-000000000000';
const store = new MemoryStore({ clock: new VirtualClock() });

/** As a script or a request gives it, past the compiler. */
function called(object: object, method: string, argument: unknown): Promise<unknown> {
  const callable: unknown = Reflect.get(object, method);
  if (typeof callable !== 'function') throw new TypeError(`There is no ${method}.`);
  return Reflect.apply(callable, object, [argument]) as Promise<unknown>;
}

const everyList: [string, unknown, string][] = [
  [
    'a limit that is no number',
    { limit: Number.NaN },
    'limit is NaN. Give a whole number from 1 to 1,000',
  ],
  ['a limit that is a text', { limit: '10' }, "limit is '10'. Give a whole number"],
  ['a broken limit', { limit: 1.5 }, 'limit is 1.5. Give a whole number'],
  ['a negative limit', { limit: -1 }, 'limit is -1. Give a whole number'],
  ['a limit of none', { limit: 0 }, 'limit is 0. Give a whole number'],
  ['a limit beyond what is read at once', { limit: 1_001 }, 'limit is 1001. Give a whole number'],
  ['a misspelt option', { limt: 10 }, 'limt is 10. There is no such option. Give {'],
  ['the name of something else', { constructor: 1 }, 'constructor is 1. There is no such option.'],
  ['a key that was forgotten', { key: undefined }, 'key is undefined. Give a text'],
  ['a key that is no text', { key: 7 }, 'key is 7. Give a text'],
  ['half a character', { key: 'a\ud800' }, "key is 'a\\ud800'. Give a text"],
  ['a NUL', { key: 'a\0' }, "key is 'a\\x00'. Give a text"],
  ['no options', null, 'the argument is null. Give {'],
];

describe.each<[string, object, string]>([
  ['the search for sagas', store.sagas, 'find'],
  ['the list of dead letters of the outbox', store.outbox, 'listDeadLetters'],
  ['the list of dead letters of the inbox', store.inbox, 'listDeadLetters'],
])('%s', (_, on, method) => {
  it.each(everyList)('refuses %s', async (_what, given, message) => {
    const refused = expect(called(on, method, given)).rejects;
    await refused.toThrow(InvalidArgumentError);
    await refused.toThrow(message);
  });
  it('takes none, and what is meant', async () => {
    expect(await called(on, method, {})).toEqual([]);
    expect(await called(on, method, { limit: 1_000, key: 'ä' })).toEqual([]);
  });
});

it.each([
  [{ before: 'x' }, 'before is'],
  [{ before: `${ID}\ud800` }, 'before is'],
  [{ statuses: 'running' }, 'statuses is'],
  [{ statuses: ['runing'] }, 'statuses is'],
])('the search for sagas refuses %j', async (given, message) => {
  await expect(called(store.sagas, 'find', given)).rejects.toThrow(message);
});

it.each([
  [{ after: 'x' }, "after is 'x'. Give the cursor"],
  [{ after: 5 }, 'after is 5. Give the cursor'],
  [{ after: ID }, 'Give the cursor'],
  [{ after: '9223372036854775808' }, 'Give the cursor'],
])('the list of dead letters refuses %j', async (given, message) => {
  await expect(called(store.outbox, 'listDeadLetters', given)).rejects.toThrow(message);
  await expect(called(store.inbox, 'listDeadLetters', given)).rejects.toThrow(message);
});
