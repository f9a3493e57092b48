import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { postgres, postgresBroker } from './index.js';

/** As options come that the compiler has not seen. */
const store = (options: unknown) => (): unknown => postgres(options as object);
const broker = (options: unknown) => (): unknown => postgresBroker(options as object);

describe('options of postgres() and postgresBroker()', () => {
  it('are refused where they are called, by name, with what was given and what is meant', () => {
    for (const [make, message] of [
      [
        store({ shema: 'x' }),
        "The option shema of postgres() is 'x'. There is no such option. Give",
      ],
      [store({ pool: { maxx: 5 } }), 'The option pool.maxx of postgres() is 5. There is no such'],
      [store({ pool: 5 }), 'The option pool of postgres() is 5. Give { max, connectTimeoutMs,'],
      [store({ pool: { max: '5' } }), "The option pool.max of postgres() is '5'. Give a whole"],
      [store({ pool: { max: 1 } }), 'The option pool.max of postgres() is 1.'],
      [store({ pool: { max: 1_001 } }), 'The option pool.max of postgres() is 1001. Give a whole'],
      [
        store({ pool: { connectTimeoutMs: 86_400_001 } }),
        'The option pool.connectTimeoutMs of postgres() is 86400001. Give whole milliseconds from 1 to 86400000,',
      ],
      [
        store({ pool: { statementTimeoutMs: 2 ** 31 } }),
        'The option pool.statementTimeoutMs of postgres() is 2147483648. Give whole milliseconds from 0 to',
      ],
      [store({ pool: { connectTimeoutMs: 5n } }), 'pool.connectTimeoutMs of postgres() is 5n.'],
      [
        store({ pool: { [Symbol('x').toString()]: Symbol('y') } }),
        'is Symbol(y). There is no such',
      ],
      [store({ schema: ['sagaz'] }), "[ 'sagaz' ] cannot be the name of a schema"],
      [store({ schema: '' }), "'' cannot be the name of a schema"],
      [store({ schema: 'x"; --' }), 'cannot be the name of a schema'],
      [broker({ lease: 5 }), 'The option lease of postgresBroker() is 5. There is no such option.'],
      [broker({ leaseTtlMs: 0 }), 'The option leaseTtlMs of postgresBroker() is 0. Give a whole'],
      [broker({ pollIntervalMs: -1 }), 'The option pollIntervalMs of postgresBroker() is -1.'],
      [broker({ pool: { max: 1 } }), 'The option pool.max of postgresBroker() is 1. Give a whole'],
      [broker({ migrate: 'yes' }), "The option migrate of postgresBroker() is 'yes'. Give 'auto'"],
      [broker({ schema: 'x"; --' }), 'cannot be the name of a schema'],
    ] as const) {
      expect(make).toThrow(message);
    }
  });

  it('show no password in an error that nobody catches, and Node.js prints with its properties', () => {
    const url = 'postgres://me:two words@db/orders';
    for (const make of [store(url), broker(url), store({ schema: url }), store({ uri: url })]) {
      const error = thrownBy(make);
      expect(error).toHaveProperty('given');
      expect(inspect(error)).not.toMatch(/two|words/);
    }
  });

  it('are no url, which would be passed over for the database of the application', () => {
    const url = 'postgres://me:hunter2@db/orders';
    for (const make of [store(url), broker(url)]) {
      expect(make).toThrow(/is 'postgres:\/\/me:\*\*\*@db\/orders'\. Give \{ url, schema, pool/);
    }
  });
});

function thrownBy(make: () => unknown): unknown {
  try {
    make();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}
