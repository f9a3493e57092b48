import type { BrokerDriver, StoreDriver } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import { readOptions } from './read-options.js';

const create = () => Promise.reject(new Error('unused'));
const store: StoreDriver = { kind: 'store', name: 'memory', create };
const broker: BrokerDriver = { kind: 'broker', name: 'postgres', create };
const bounded = (landing: object) => () =>
  readOptions({ service: 'orders', store, broker, inbox: { landing } }, {});

describe('the bounds of landing queues', () => {
  it('have defaults', () => {
    expect(bounded({})().inbox.landing).toEqual({
      softMessages: 10_000,
      softBytes: 64 * 1_048_576,
      maxMessages: 1_000_000,
      maxBytes: 1_024 * 1_048_576,
    });
  });

  it('are refused where they are none, or where the soft one is above the other', () => {
    expect(bounded({ softMessages: 0 })).toThrow(
      /inbox\.landing\.softMessages is 0: give a whole number from 1 to 100,000,000/,
    );
    expect(bounded({ softMessages: 2_000_000 })).toThrow(
      /inbox\.landing\.softMessages[\s\S]*at most maxMessages, 1000000/,
    );
    expect(bounded({ maxBytes: 1_000 })).toThrow(
      /inbox\.landing\.softBytes[\s\S]*at most maxBytes, 1000/,
    );
    expect(bounded({ maxRows: 1 })).toThrow(/maxRows/);
  });
});
