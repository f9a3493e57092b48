import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MalformedPayloadError,
  UnserializableValueError,
  jsonCodec,
  journalText,
  parseJournal,
} from './index.js';

function throughBytes(value: unknown): unknown {
  return jsonCodec.decode(jsonCodec.encode(value));
}

class Line {
  constructor(
    readonly sku: string,
    readonly quantity: number,
  ) {}
}

class Money {
  readonly cents = 1;
  toJSON(): string {
    return '0.01';
  }
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { value };
  return value;
}

const circle: Record<string, unknown> = { name: 'a' };
circle['again'] = { back: [circle] };

const withHole: unknown[] = [1];
withHole[2] = 3;

const asText = (): string => 'another value';
const NAMELESS = 'an object of an unnamed class';

class Lines extends Array<number> {
  total(): number {
    return this.reduce((sum, one) => sum + one, 0);
  }
}

/** The error that a getter and the traps of a proxy throw. */
const thrown = new Error('a trap');
function throwing(): never {
  throw thrown;
}
function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

describe('JSON', () => {
  it('gives back every JSON value as it was, as bytes and as the text of a journal', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        // -0 is the one thing that this source of JSON values makes and JSON does not keep.
        fc.pre(
          !JSON.stringify([value], (_, item: unknown) =>
            Object.is(item, -0) ? '-0' : item,
          ).includes('"-0"'),
        );
        expect(throughBytes(value)).toStrictEqual(value);
        expect(parseJournal(journalText(value))).toStrictEqual(value);
      }),
    );
  });

  it('gives back any value it accepts, and refuses the others', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withBoxedValues: true,
      withNullPrototype: true,
    });
    const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;
    fc.assert(
      fc.property(anything, (value) => {
        let bytes: Uint8Array;
        try {
          bytes = jsonCodec.encode(value);
        } catch (error) {
          expect(error).toBeInstanceOf(UnserializableValueError);
          return;
        }
        // toEqual takes an absent and an undefined property as the same, and so does the codec.
        if (value === undefined) expect(jsonCodec.decode(bytes)).toBeUndefined();
        else expect(jsonCodec.decode(bytes)).toEqual(plain(value));
        expect(jsonCodec.decode(bytes)).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '\u0000',
    'a\u0000b',
    '\ud800',
    '\udfff\ud800',
    '💚',
    '\u2028',
    '$1 "quoted" \\ \u007f',
    '__proto__',
  ])('keeps the text %j, as a value and as a name', (text) => {
    const value = { [`k${text}`]: text, list: [text] };
    expect(throughBytes(value)).toStrictEqual(value);
    const journal = journalText(value) ?? '';
    expect(parseJournal(journal)).toStrictEqual(value);
    expect(journal).not.toContain('\u0000');
    expect(journal).not.toMatch(/\p{Surrogate}/u);
  });

  it('keeps a property called __proto__ and makes nobody a prototype', () => {
    const value: unknown = JSON.parse('{"__proto__":{"admin":true}}');
    const back = throughBytes(value);
    expect(back).toStrictEqual(value);
    expect((back as { admin?: boolean }).admin).toBeUndefined();
  });

  it('reads an optional property that is undefined and one that is absent the same', () => {
    expect(throughBytes({ a: 1, note: undefined })).toStrictEqual({ a: 1 });
  });

  it('keeps nothing as nothing: no bytes, no journal text', () => {
    expect(jsonCodec.encode(undefined)).toHaveLength(0);
    expect(throughBytes(undefined)).toBeUndefined();
    expect(journalText(undefined)).toBeNull();
    expect(parseJournal(null)).toBeUndefined();
    expect(throughBytes(null)).toBeNull();
    expect(journalText(null)).toBe('null');
  });

  it('takes the data of a class instance', () => {
    expect(throughBytes({ lines: [new Line('A1', 2)] })).toStrictEqual({
      lines: [{ sku: 'A1', quantity: 2 }],
    });
  });

  it('takes the same object twice, which is no circle', () => {
    const shared = { a: 1 };
    expect(throughBytes([shared, { shared }])).toStrictEqual([{ a: 1 }, { shared: { a: 1 } }]);
  });

  it.each([
    ['NaN', { price: Number.NaN }, '$.price', 'NaN'],
    ['Infinity', [[Number.POSITIVE_INFINITY]], '$[0][0]', 'Infinity'],
    ['minus zero', { a: { b: -0 } }, '$.a.b', '-0'],
    ['undefined in an array', { lines: [1, undefined] }, '$.lines[1]', 'undefined in an array'],
    ['a hole in an array', withHole, '$[1]', 'a hole in an array'],
    ['a bigint', { id: 12n }, '$.id', 'the bigint 12n'],
    ['a function', { then: () => 1 }, '$.then', 'a function'],
    ['a symbol', Symbol('x'), '$', 'a symbol'],
    ['a symbol as a name', { a: { [Symbol('x')]: 1 } }, '$.a', 'an object with symbol keys'],
    ['a Date', { at: new Date(0) }, '$.at', 'a Date'],
    ['a Map', { 'a b': new Map() }, '$["a b"]', 'a Map'],
    ['a Set', [new Set()], '$[0]', 'a Set'],
    ['a Buffer', { bytes: Buffer.from('x') }, '$.bytes', 'a Buffer'],
    ['an ArrayBuffer', new ArrayBuffer(1), '$', 'an ArrayBuffer'],
    ['a class with toJSON', { price: new Money() }, '$.price', 'a Money with a toJSON method'],
    ['a URL', { at: new URL('http://a.b') }, '$.at', 'a URL with a toJSON method'],
    ['an Error', { error: new TypeError('x') }, '$.error', 'a TypeError'],
    ['a Promise', { later: Promise.resolve(1) }, '$.later', 'a Promise'],
    ['a RegExp', /x/, '$', 'a RegExp'],
    ['a boxed number', Object(1), '$', 'a Number'],
    [
      'a list with toJSON',
      { a: Object.assign([1], { toJSON: asText }) },
      '$.a',
      'an Array with a toJSON method',
    ],
    [
      'a hidden toJSON',
      [Object.defineProperty({ a: 1 }, 'toJSON', { value: asText })],
      '$[0]',
      'an Object with a toJSON method',
    ],
    [
      'an inherited toJSON',
      Object.create({ toJSON: asText }),
      '$',
      'an Object with a toJSON method',
    ],
    [
      'a toJSON without a class',
      Object.assign(Object.create(null) as object, { toJSON: asText }),
      '$',
      `${NAMELESS} with a toJSON method`,
    ],
    [
      'a list with a name',
      { found: /a/.exec('a') },
      '$.found',
      "an array with the property 'index' beside its elements",
    ],
    [
      'a list with a hidden name',
      Object.defineProperty([1], 'raw', { value: 1 }),
      '$',
      "an array with the property 'raw' beside its elements",
    ],
    [
      'a list with a symbol',
      Object.assign([1], { [Symbol('x')]: 1 }),
      '$',
      'an array with symbol keys',
    ],
    [
      'a hidden property',
      { a: Object.defineProperty({ b: 1 }, 'c', { value: 2 }) },
      '$.a',
      "an object whose property 'c' is not enumerable",
    ],
  ])('refuses %s with its path', (_, value, path, found) => {
    expect(() => jsonCodec.encode(value)).toThrow(UnserializableValueError);
    expect(() => journalText(value)).toThrow(
      expect.objectContaining({
        path,
        found,
        message: expect.stringMatching(
          /^The value cannot be stored: \$.* does not hold unchanged\. /,
        ),
      }),
    );
  });

  it.each([
    [
      'a getter',
      {
        a: [
          {
            get b() {
              return throwing();
            },
          },
        ],
      },
      '$.a[0].b',
      thrown,
    ],
    [
      'a getter in a list',
      [1, Object.defineProperty([1], 0, { get: throwing })],
      '$[1][0]',
      thrown,
    ],
    ['a proxy', { a: new Proxy({}, { ownKeys: throwing }) }, '$.a', thrown],
    ['a proxy of a list', [new Proxy([1], { get: throwing })], '$[0]', thrown],
    ['a proxy without a class', new Proxy({}, { getPrototypeOf: throwing }), '$', thrown],
    ['a revoked proxy', { a: revoked({}) }, '$.a', expect.any(TypeError)],
    ['a revoked list', revoked([]), '$', expect.any(TypeError)],
  ])('refuses %s that throws when it is read', (_, value, path, cause) => {
    for (const write of [jsonCodec.encode, journalText]) {
      expect(() => write(value)).toThrow(UnserializableValueError);
      expect(() => write(value)).toThrow(
        expect.objectContaining({ path, found: 'a value that throws when it is read', cause }),
      );
    }
  });

  it('refuses what can be read only once', () => {
    let reads = 0;
    const value = {
      get a() {
        reads += 1;
        return reads % 2 === 0 ? throwing() : 1;
      },
    };
    expect(() => jsonCodec.encode(value)).toThrow(
      expect.objectContaining({ path: '$', cause: thrown }),
    );
  });

  it('refuses a list of a class whose methods would be lost, where the class is the reader', () => {
    expect(() => journalText({ lines: Lines.of(1, 2) })).toThrow(
      "$.lines is a Lines whose 'total' would be missing when it is read back",
    );
    expect(throughBytes({ lines: Lines.of(1, 2) })).toEqual({ lines: [1, 2] });
  });

  it('refuses a circle, and says so', () => {
    expect(() => jsonCodec.encode(circle)).toThrow(
      expect.objectContaining({ found: 'part of a circle of objects', path: '$.again.back[0]' }),
    );
  });

  it('bears 512 levels and refuses more, instead of running out of stack', () => {
    expect(throughBytes(nested(512))).toEqual(nested(512));
    expect(() => jsonCodec.encode(nested(513))).toThrow('nested more than 512 levels deep');
    expect(() => jsonCodec.encode(nested(100_000))).toThrow(UnserializableValueError);
  });

  it.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('that is %s is refused when it is read', (_, bytes) => {
    expect(() => jsonCodec.decode(bytes)).toThrow(MalformedPayloadError);
  });
});
