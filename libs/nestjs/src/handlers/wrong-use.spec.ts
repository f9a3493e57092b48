import { defineEvent } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import { IdempotentHandler, type HandlerOptions } from './index.js';

const Happened = defineEvent()('order.happened');

/** As a class is decorated whose code the compiler has not seen. */
function decorating(contract: unknown, options: object): () => void {
  class Orders {
    async happened(): Promise<void> {
      await Promise.resolve();
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'happened') ?? {};
  return () => {
    IdempotentHandler(contract as typeof Happened, options as HandlerOptions)(
      Orders.prototype,
      'happened',
      descriptor,
    );
  };
}

describe('@IdempotentHandler is refused when its class is loaded', () => {
  it('without a contract, as where two files import each other', () => {
    expect(decorating(undefined, {})).toThrow(
      'Orders.happened: its contract is undefined. Give what defineEvent() or defineCommand() returns.',
    );
  });

  it('with an option that there is not', () => {
    expect(decorating(Happened, { grup: 'x' })).toThrow(
      "Orders.happened: @IdempotentHandler has no option 'grup'. Give group, retry or connection.",
    );
  });

  it('with a group that is no name', () => {
    for (const group of ['', 'a b', 'ü']) {
      expect(decorating(Happened, { group })).toThrow(`Orders.happened: its group is '${group}'.`);
    }
    expect(decorating(Happened, { group: 'picking.eu-1' })).not.toThrow();
  });
});
