import { Controller, Get, Param, type INestApplication } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  EngineClosedError,
  IdempotencyConflictError,
  InvalidArgumentError,
  SagaFailedError,
  SagaNotCommittedError,
  SagaNotFoundError,
  SagaRefusal,
  SagaWaitEndedError,
  SagaWaitTimeoutError,
  StartQueueFullError,
  TooManySagaWaitsError,
} from '@sagaz/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidStartError } from '../sagas/index.js';
import { SagazExceptionFilter } from './sagaz-exception.filter.js';

const failure = (reason: string) => ({
  cause: {
    kind: 'step' as const,
    step: 'reserve',
    error: { name: 'SagaRefusal', message: 'no', reason, retryable: false },
  },
});

const thrown: Readonly<Record<string, Error>> = {
  missing: new SagaNotFoundError('s1'),
  conflict: new IdempotencyConflictError('place-order', 'secret-key', 's2'),
  start: new InvalidStartError('PlaceOrder', "its tenant is 'a\\x00'", 'Give a text.'),
  argument: new InvalidArgumentError('DeadLetters.list', 'limit', 0, 'Give a whole number.'),
  refusal: new SagaRefusal('out_of_stock', { sku: 'x' }),
  ended: new SagaWaitEndedError('s3'),
  waits: new TooManySagaWaitsError('s4', 10),
  starts: new StartQueueFullError(10, 5_000),
  closed: new EngineClosedError(),
  timeout: new SagaWaitTimeoutError('s5', 1_000),
  undone: new SagaFailedError(
    's6',
    { status: 'compensated', failure: failure('out_of_stock') } as never,
    'no',
  ),
  attention: new SagaFailedError('s7', { status: 'needs_attention' } as never, 'no'),
  mistake: new SagaNotCommittedError('s8'),
};

@Controller()
class Thrower {
  @Get(':name')
  get(@Param('name') name: string): never {
    throw thrown[name] ?? new Error('unknown');
  }
}

describe('the exception filter', () => {
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const module = await Test.createTestingModule({
      controllers: [Thrower],
      providers: [{ provide: APP_FILTER, useClass: SagazExceptionFilter }],
    }).compile();
    app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  afterAll(() => app.close());

  it.each([
    [
      'missing',
      404,
      { code: 'SAGAZ_SAGA_NOT_FOUND', sagaId: 's1', message: 'There is no saga s1.' },
    ],
    ['conflict', 409, { code: 'SAGAZ_IDEMPOTENCY_CONFLICT' }],
    ['start', 400, { code: 'SAGAZ_INVALID_START' }],
    ['argument', 400, { code: 'SAGAZ_INVALID_ARGUMENT', message: 'DeadLetters.list: limit is 0.' }],
    ['refusal', 409, { reason: 'out_of_stock' }],
    ['undone', 409, { code: 'SAGAZ_SAGA_FAILED', sagaId: 's6', reason: 'out_of_stock' }],
    ['timeout', 504, { code: 'SAGAZ_SAGA_WAIT_TIMEOUT', sagaId: 's5' }],
    ['attention', 500, { message: 'Internal server error' }],
    ['mistake', 500, { message: 'Internal server error' }],
  ])('answers %s by %i', async (name, status, body) => {
    const response = await fetch(`${url}/${name}`);
    expect(response.status).toBe(status);
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await response.json()).toMatchObject({ statusCode: status, ...body });
  });

  it.each(['ended', 'waits', 'starts', 'closed'])(
    'answers %s by 503 and says when to ask again',
    async (name) => {
      const response = await fetch(`${url}/${name}`);
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('1');
    },
  );

  it('tells a client neither advice for operators nor whose key it was', async () => {
    for (const name of ['missing', 'conflict', 'start', 'ended']) {
      const text = await (await fetch(`${url}/${name}`)).text();
      expect(text).not.toMatch(/secret-key|s2|Check the id|Give a text/);
    }
  });
});
