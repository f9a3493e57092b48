import { defineCommand, defineEvent } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import { IdempotentHandler, type HandlerOptions } from './index.js';

const Happened = defineEvent()('order.happened');

/** As a class is decorated whose code the compiler has not seen. */
function decorating(contract: unknown, options: unknown): () => void {
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
      "Orders.happened: @IdempotentHandler has no option 'grup'. Give group, retry, timeout, maxCrashes, onDead or connection.",
    );
  });

  it.each([
    [{ timeout: 0 }, 'its timeout is 0. Give a duration from 1 ms to 30 days'],
    [{ timeout: 'soon' }, "its timeout is 'soon'. Give a duration"],
    [{ timeout: true }, 'its timeout is true. Give a duration'],
    [{ timeout: '31d' }, "its timeout is '31d'. Give a duration"],
    [{ maxCrashes: 0 }, 'its maxCrashes is 0. Give a whole number from 1 to 100.'],
    [{ maxCrashes: 1.5 }, 'its maxCrashes is 1.5. Give a whole number'],
    [{ maxCrashes: '3' }, "its maxCrashes is '3'. Give a whole number"],
    [{ timeout: Symbol('t') }, 'its timeout is Symbol(t). Give a duration'],
    [
      { maxCrashes: Object.create(null) as unknown },
      'its maxCrashes is [Object: null prototype] {}.',
    ],
    [{ onDead: 'wait' }, "its onDead is 'wait'. Give 'skip'"],
    [{ group: ['picking'] }, "its group is [ 'picking' ]. Use letters"],
    [null, 'its options are null. Give { group, retry, timeout, maxCrashes, onDead, connection }'],
    ['picking', "its options are 'picking'. Give {"],
  ])('with %j', (options, message) => {
    expect(decorating(Happened, options)).toThrow(`Orders.happened: ${message}`);
  });

  it('with a dead letter of a command that holds back others', () => {
    const Reserve = defineCommand<object, object>()('stock.reserve');
    expect(decorating(Reserve, { onDead: 'block' })).toThrow(
      "Orders.happened: its onDead is 'block', and it handles a command: the sagas behind a dead letter would wait for a person. Leave onDead out",
    );
    expect(decorating(Reserve, { onDead: 'skip' })).not.toThrow();
    expect(decorating(Happened, { onDead: 'block' })).not.toThrow();
  });

  it('and not with a time limit, or none, and a count', () => {
    for (const timeout of ['30s', 1, false]) {
      expect(decorating(Happened, { timeout, maxCrashes: 1 })).not.toThrow();
    }
  });

  it('with a group that is no name', () => {
    for (const group of ['', 'a b', 'ü']) {
      expect(decorating(Happened, { group })).toThrow(`Orders.happened: its group is '${group}'.`);
    }
    expect(decorating(Happened, { group: 'picking.eu-1' })).not.toThrow();
  });
});
