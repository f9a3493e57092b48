import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CommitUnknownError,
  LockTimeoutError,
  NonRetryableError,
  SagazError,
  SagaRefusal,
  TransactionAbortedError,
} from '../../errors/index.js';
import { anythingThrown } from '../../errors/hostile.fixture.js';
import { InboxBusyError } from './errors.js';
import { failureOf } from './failure.js';

/** As the store in PostgreSQL throws it. */
class DatabaseSilence extends SagazError {
  readonly code = 'SAGAZ_NO_ANSWER';
}

function sqlError(code: string): Error {
  return Object.assign(new Error(code), { code, severity: 'ERROR' });
}

/** As an ORM wraps the error of its driver. */
function wrapped(error: Error): Error {
  return Object.assign(new Error('QueryFailedError'), { driverError: error });
}

describe('what a failed attempt means', () => {
  it.each([
    ['a refusal', new SagaRefusal('no'), 'refusal'],
    ['what can never succeed', new NonRetryableError('no'), 'final'],
    ['a bad request', Object.assign(new Error('no'), { status: 422 }), 'final'],
    ['a serialization failure', sqlError('40001'), 'conflict'],
    ['a deadlock inside an ORM', wrapped(sqlError('40P01')), 'conflict'],
    ['a lock that was not there in time', sqlError('55P03'), 'conflict'],
    ['the same in memory', new LockTimeoutError('row', 1), 'conflict'],
    ['a message another process works on', new InboxBusyError('message', 1), 'busy'],
    ['a lost answer to COMMIT', new CommitUnknownError(), 'unknown'],
    ['a swallowed error', new TransactionAbortedError(), 'retryable'],
    ['a connection that did not answer', new DatabaseSilence('x', 'y'), 'unavailable'],
    ['a server that shuts down', wrapped(sqlError('57P01')), 'unavailable'],
    ['a server that is full', sqlError('53300'), 'unavailable'],
    ['a lost connection', sqlError('08006'), 'unavailable'],
    [
      'a provider that is away',
      Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
      'retryable',
    ],
    ['a cause in a circle', circle(), 'retryable'],
    ['a text', 'no', 'retryable'],
    ['nothing', undefined, 'retryable'],
  ])('%s', (_, error, meaning) => {
    expect(failureOf(error)).toBe(meaning);
  });

  it('is said of whatever a handler throws', () => {
    fc.assert(
      fc.property(anythingThrown, (make) => {
        expect(typeof failureOf(make())).toBe('string');
      }),
    );
  });
});

function circle(): Error {
  const error = new Error('round');
  error.cause = error;
  return error;
}
