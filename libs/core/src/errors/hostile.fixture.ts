import fc from 'fast-check';
import { NonRetryableError, SagaRefusal } from './index.js';

/** Properties that the library reads of thrown values, to describe or to classify them. */
const NAMES = [
  'name',
  'message',
  'code',
  'stack',
  'cause',
  'errors',
  'driverError',
  'status',
  'statusCode',
  'response',
  'reason',
  'details',
  'error',
  'toJSON',
  'toString',
  'constructor',
  Symbol.toPrimitive,
  Symbol.toStringTag,
];

/** Made when they are needed, because the generator itself reads the values that it generates. */
export type Make = () => unknown;

const odd: fc.Arbitrary<Make> = fc.oneof(
  fc
    .oneof(
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, maxDepth: 3 }),
      fc.string({ unit: 'binary' }),
    )
    .map((value) => () => value),
  fc.constantFrom<Make>(
    () => Symbol('s'),
    () => () => undefined,
    () => 'x'.repeat(100_000),
    () => '\ud800',
    () => 'a\u0000b',
    () => Number.NaN,
    () => -0,
    () => ({ toJSON: () => undefined }),
    () => new Date(Number.NaN),
    () => ['a', 'b'],
    () => [Symbol('t')],
    () => [revoked(), undefined, { message: '\ud800' }],
    revoked,
    throwing,
  ),
);

/** An error or object some of whose properties are odd, throw, or refer to itself. */
const hostile = fc
  .tuple(
    fc.constantFrom(
      () => new Error('e'),
      () => new AggregateError([new Error('inner'), 1, null]),
      () => new AggregateError([revoked(), throwing(), undefined, 'x'.repeat(100_000)], 'any'),
      () => new SagaRefusal('no', { n: 1n }),
      () => new NonRetryableError('no'),
      () => ({}),
      () => Object.create(null) as object,
      () => (): void => undefined,
    ),
    fc.array(
      fc.tuple(
        fc.constantFrom(...NAMES),
        fc.oneof(
          odd.map((make) => ({ make })),
          fc.constantFrom({ throws: true }, { itself: true }),
        ),
      ),
      { maxLength: 6 },
    ),
    fc.boolean(),
  )
  .map(([make, properties, proxied]): Make => () => {
    const target: object = make();
    // Formatted now: it would ask for the properties below while they are defined.
    Reflect.get(target, 'stack');
    for (const [name, how] of properties) {
      Reflect.defineProperty(target, name, {
        configurable: true,
        enumerable: true,
        get: () => {
          if ('throws' in how) throw new Error('a getter');
          return 'itself' in how ? target : how.make();
        },
      });
    }
    return proxied ? new Proxy(target, { has: throws, getPrototypeOf: throws }) : target;
  });

export function throws(): never {
  throw new Error('a trap');
}

function throwing(): object {
  return new Proxy(
    {},
    {
      get: throws,
      has: throws,
      ownKeys: throws,
      getPrototypeOf: throws,
      getOwnPropertyDescriptor: throws,
    },
  );
}

export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Makers of all kinds of values that a `throw` may carry. */
export const anythingThrown: fc.Arbitrary<Make> = fc.oneof(hostile, odd);
