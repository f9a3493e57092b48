import { describe, expect, it } from 'vitest';
import { NonRetryableError, SagaRefusal, isNonRetryable, isSagaRefusal } from '../errors/index.js';
import { classify } from './index.js';

function withProperties(properties: Readonly<Record<string, unknown>>): Error {
  return Object.assign(new Error('failed'), properties);
}

/** An error of another installed copy of the package: the same brand, another class. */
function foreign(brand: string): Error {
  return Object.defineProperty(new Error('foreign'), Symbol.for(brand), { value: true });
}

class StolenCardError extends NonRetryableError {}

describe('a thrown value', () => {
  it.each([
    ['a refusal is an answer', new SagaRefusal('out_of_stock', { sku: 'A1' }), 'refusal'],
    ['a refusal of another copy is one too', foreign('sagaz.refusal'), 'refusal'],
    ['a NonRetryableError is final', new NonRetryableError('card stolen'), 'final'],
    ['a subclass of it is final', new StolenCardError('card stolen'), 'final'],
    ['that of another copy is final', foreign('sagaz.non-retryable'), 'final'],
    ["an exception of Nest's with status 400 is final", withProperties({ status: 400 }), 'final'],
    [
      'a response of axios with 422 is final',
      withProperties({ response: { status: 422 } }),
      'final',
    ],
    ['statusCode 404 is final', withProperties({ statusCode: 404 }), 'final'],
    ['408 may pass', withProperties({ status: 408 }), 'retryable'],
    ['409 may pass', withProperties({ status: 409 }), 'retryable'],
    ['425 may pass', withProperties({ status: 425 }), 'retryable'],
    ['429 may pass', withProperties({ status: 429 }), 'retryable'],
    ['500 may pass', withProperties({ status: 500 }), 'retryable'],
    ['a status that is a word says nothing', withProperties({ status: 'error' }), 'retryable'],
    ['a serialization failure is a conflict', withProperties({ code: '40001' }), 'conflict'],
    [
      'a deadlock that TypeORM wrapped is a conflict',
      withProperties({ driverError: { code: '40P01' } }),
      'conflict',
    ],
    [
      'a lock that was not to be had is a conflict, in a cause too',
      withProperties({ cause: withProperties({ code: '55P03' }) }),
      'conflict',
    ],
    ['a unique violation is no conflict', withProperties({ code: '23505' }), 'retryable'],
    ['an AbortError was asked for', new DOMException('stop', 'AbortError'), 'aborted'],
    ['a TimeoutError may pass', new DOMException('late', 'TimeoutError'), 'retryable'],
    ['an ordinary error may pass', new Error('socket hang up'), 'retryable'],
    ['a string may pass', 'no', 'retryable'],
    ['nothing at all may pass', undefined, 'retryable'],
  ] as const)('%s', (_, thrown, expected) => {
    expect(classify(thrown)).toBe(expected);
  });

  it('whose causes go in a circle is looked at for a bounded time', () => {
    const error = new Error('first');
    error.cause = withProperties({ cause: error });
    expect(classify(error)).toBe('retryable');
  });
});

describe('what users throw', () => {
  it('carries reason and details of a refusal', () => {
    const refusal = new SagaRefusal('out_of_stock', { sku: 'A1' });
    expect(refusal).toMatchObject({
      name: 'SagaRefusal',
      code: 'SAGAZ_REFUSAL',
      reason: 'out_of_stock',
      details: { sku: 'A1' },
    });
    expect([isSagaRefusal(refusal), isSagaRefusal({ reason: 'x' })]).toEqual([true, false]);
  });

  it('keeps the message and the cause of a NonRetryableError as they were given', () => {
    const cause = new Error('declined');
    const error = new StolenCardError('card stolen', { cause });
    expect(error).toMatchObject({ name: 'StolenCardError', message: 'card stolen', cause });
    expect([isNonRetryable(error), isNonRetryable(cause)]).toEqual([true, false]);
  });
});
