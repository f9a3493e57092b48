import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  SagaRefusal,
  asError,
  errorMessage,
  errorRecord,
  errorText,
  isNonRetryable,
  isSagaRefusal,
  isSagazError,
} from './index.js';
import { anythingThrown, revoked, throws } from './hostile.fixture.js';

describe('whatever was thrown', () => {
  it('becomes a record that is stored, and read back as it was', () => {
    fc.assert(
      fc.property(anythingThrown, (make) => {
        const thrown = make();
        const error = errorRecord(thrown);
        expect(error.message).not.toBe('');
        expect(error.message.length).toBeLessThanOrEqual(4_000);
        expect(JSON.stringify(error).length).toBeLessThan(600_000);
        expect(JSON.parse(JSON.stringify(error))).toStrictEqual(error);
      }),
      { numRuns: 2_000 },
    );
  });

  it('becomes a text that any database and log can hold', () => {
    fc.assert(
      fc.property(anythingThrown, (make) => {
        const thrown = make();
        expect(typeof errorMessage(thrown)).toBe('string');
        expect(asError(thrown)).toBeInstanceOf(Error);
        expect(errorText(thrown).length).toBeLessThanOrEqual(4_000);
        expect(errorText(thrown)).not.toMatch(/\0|\p{Surrogate}/u);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is recognised without a throw', () => {
    fc.assert(
      fc.property(anythingThrown, (make) => {
        const thrown = make();
        for (const is of [isNonRetryable, isSagaRefusal, isSagazError]) is(thrown);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, unknown, string]>([
    ['an error', new TypeError('a\0b\ud800c'), 'TypeError: a\ufffdb\ufffdc'],
    ['an error of no name of its own', new Error('no'), 'Error: no'],
    ['a text', 'no', 'no'],
    ['nothing', undefined, 'undefined was thrown.'],
    ['null', null, 'null was thrown.'],
    ['a symbol', Symbol('no'), 'Symbol(no)'],
    ['a function', () => 1, 'A function was thrown.'],
    ['an object with a message', { status: 'error', message: 'Forbidden' }, 'Forbidden'],
    ['an object with a list of messages', { message: ['a', 'b'] }, 'a; b'],
    ['an object with a message in it', { message: { text: 'a' } }, '{"text":"a"}'],
    ['an object with data', { code: 1, amount: 1n }, '{"code":1,"amount":"1"}'],
    ['an object that tells nothing', { toJSON: () => undefined }, '[object Object] was thrown.'],
    ['a promise', Promise.resolve(), '[object Promise] was thrown.'],
    ['a revoked proxy', revoked(), 'Something was thrown that cannot be read.'],
    ['an error whose name is no text', named(undefined), 'Declared: no'],
    ['an error whose name is a number', named(7), 'Declared: no'],
    [
      'an aggregate of errors',
      new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')]),
      'AggregateError: connect ::1; connect 127.0.0.1',
    ],
    [
      'an aggregate of what its promises were rejected with',
      new AggregateError(
        ['card declined', { message: 'x' }, undefined, 7n, { status: 402 }, new TypeError('y')],
        'All promises were rejected',
      ),
      'AggregateError: All promises were rejected (caused by card declined; x; undefined was thrown.; 7; {"status":402}; TypeError: y)',
    ],
    [
      'an aggregate without a message of its own',
      new AggregateError(['a', ['b', 'c'], null]),
      'AggregateError: a; b; c; null was thrown.',
    ],
    [
      'an aggregate one of whose members cannot be read',
      new AggregateError([revoked(), 'b'], 'a'),
      'AggregateError: a (caused by Something was thrown that cannot be read.; b)',
    ],
    [
      'an error whose cause cannot be read',
      new Error('a', { cause: revoked() }),
      'Error: a (caused by Something was thrown that cannot be read.)',
    ],
    [
      'an error whose members cannot be listed',
      Object.assign(new Error('a', { cause: 'b' }), { errors: revoked() }),
      'Error: a (caused by b)',
    ],
    [
      'an object with data and errors in a list',
      { message: 'a', errors: ['b', new Error('c')] },
      'a (caused by c)',
    ],
    [
      'an error with a cause',
      new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND cards') }),
      'TypeError: fetch failed (caused by getaddrinfo ENOTFOUND cards)',
    ],
    [
      'an error whose cause says the same',
      new Error('No way: ECONNREFUSED', { cause: new Error('ECONNREFUSED') }),
      'Error: No way: ECONNREFUSED',
    ],
    [
      'a chain of causes',
      new Error('a', { cause: new RangeError('b', { cause: new Error('c') }) }),
      'Error: a (caused by RangeError: b; c)',
    ],
    ['an error without a message', new RangeError(), 'RangeError: RangeError without a message.'],
    [
      'an error with no more than a code',
      Object.assign(new Error(''), { code: 'ECONNRESET' }),
      'Error: ECONNRESET',
    ],
  ])('tells what it was: %s', (_, thrown, text) => {
    expect(errorText(thrown)).toBe(text);
  });

  it('keeps the reason of a refusal, whatever its details are', () => {
    const circle: Record<string, unknown> = { sku: 12n, at: new Date(0), fields: new Set(['a']) };
    circle['again'] = circle;
    expect(errorRecord(new SagaRefusal('out_of_stock', circle))).toMatchObject({
      reason: 'out_of_stock',
      details: { sku: '12', at: '1970-01-01T00:00:00.000Z', fields: ['a'], again: '…' },
    });
    expect(
      errorRecord(
        new SagaRefusal('no', {
          get a() {
            return throws();
          },
          b: 1,
        }),
      ),
    ).toMatchObject({
      details: { b: 1 },
    });
  });

  it('keeps plain details of a refusal as they are, keys like __proto__ included', () => {
    const details: unknown = JSON.parse(
      '{"left":0,"note":null,"list":[1,"\\u0000",{"constructor":"x"}],"__proto__":{"admin":true}}',
    );
    const { details: kept } = errorRecord(new SagaRefusal('no', details));
    expect(kept).toStrictEqual(details);
    expect(Reflect.get(Object(kept) as object, 'admin')).toBeUndefined();
  });

  it('shows no half of a password that stands where a long message is cut', () => {
    const rest = ` ${'y'.repeat(30_000)}`;
    for (let before = 3_900; before <= 4_000; before += 1) {
      const url = `${'x'.repeat(before)} postgres://me:hunter2@db/orders${rest}`;
      const parameter = `${'x'.repeat(before)} "password":"hunter2", "a":1${rest}`;
      for (const text of [url, parameter]) {
        const { message, causes = [] } = errorRecord(
          new Error(text, { cause: new Error(text.slice(3_000)) }),
        );
        expect(message).toHaveLength(4_000);
        expect([message, ...causes].join()).not.toMatch(/hun|:h|"h/);
      }
    }
  });

  it('reads no more of a message of 10 MB than may be shown, and what belongs to a password there', () => {
    const text = `password="${'x'.repeat(10_000_000)}" and the end`;
    const { message, causes } = errorRecord(new Error(text, { cause: new Error(`b ${text}`) }));
    // The end of the password is not looked for, so what follows it is not shown either.
    expect([message, ...(causes ?? [])]).toEqual(['password="***…', 'b password="***…']);
  });

  it('does not look for a long message in a longer one', () => {
    // Looked for as a whole, it takes minutes, and the process does nothing else meanwhile.
    const rest = `!${'y'.repeat(1_280_000)}`;
    const cause = new Error(`${'x'.repeat(40_000)}${rest}`);
    const { causes } = errorRecord(new Error(`${'x'.repeat(160_000)}${rest}`, { cause }));
    // The first 1,000 characters of the cause stand in the message, and more of it is not shown.
    expect(causes).toBeUndefined();
  });

  it('keeps no password that a driver wrote into its message', () => {
    const cause = new Error('connect to postgres://me:p@ss w@rd@db:5432/shop failed');
    const thrown = new Error('It failed: host=db password=p@ss user=me', { cause });
    const told = JSON.stringify(errorRecord(thrown)) + errorText(thrown) + errorText('pwd=p@ss');
    expect(told).toContain('postgres://me:***@db:5432/shop');
    expect(told).not.toContain('p@ss');
  });

  it('bounds what is kept of many causes, a circle of them, and large details', () => {
    const many = new AggregateError(Array.from({ length: 1_000 }, (_, n) => new Error(`no ${n}`)));
    expect(errorRecord(many).causes).toHaveLength(8);
    const circle = new Error('round');
    circle.cause = new Error('and round', { cause: circle });
    expect(errorText(circle)).toBe('Error: round (caused by and round)');
    const large = Array.from({ length: 100_000 }, () => 'x'.repeat(100));
    const { details } = errorRecord(new SagaRefusal('no', large));
    expect(JSON.stringify(details).length).toBeLessThan(100_000);
  });
});

function named(name: unknown): Error {
  class Declared extends Error {}
  return Object.assign(new Declared('no'), { name });
}
