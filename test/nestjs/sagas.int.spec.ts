import { Transactional } from '@nestjs-cls/transactional';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { SagaNotCommittedError } from '@sagaz/core';
import {
  Compensate,
  IdempotencyKey,
  Outbox,
  ResultIfAny,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  StepResult,
} from '@sagaz/nestjs';
import { postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { DataSource, Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Order, OrderPlaced } from './orders.js';

interface Place {
  readonly id: string;
  readonly fail?: 'confirm' | 'swallow';
}

const effects: string[] = [];

@Saga({ name: 'place-order', output: 'confirm' })
@Injectable()
class PlaceOrderSaga extends SagaOf<Place, string> {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
    private readonly dataSource: DataSource,
  ) {
    super();
  }

  @SagaStep()
  async charge(@SagaInput() { id }: Place, @IdempotencyKey() key: string): Promise<string> {
    effects.push(`charge ${id}`);
    return key;
  }

  @Compensate('charge')
  async refund(@SagaInput() { id }: Place, @ResultIfAny('charge') charged?: string): Promise<void> {
    effects.push(`refund ${id} ${charged === undefined ? 'unknown' : 'known'}`);
  }

  @SagaStep({ dependsOn: ['charge'], transactional: true, retry: { attempts: 2, backoff: '1ms' } })
  async confirm(
    @SagaInput() { id, fail }: Place,
    @StepResult('charge') key: string,
  ): Promise<string> {
    await this.orders.insert({ id, status: 'confirmed' });
    await this.outbox.publish(OrderPlaced, { id }, { key: id });
    // The DataSource joins, so that the pool need not have a second connection left.
    await this.dataSource.query('SELECT 1');
    if (fail === 'confirm') throw new Error('not today');
    if (fail === 'swallow') await this.orders.insert({ id }).catch(() => 'swallowed');
    return `confirmed with ${key}`;
  }
}

@Injectable()
class OrderService {
  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly sagas: Sagas,
  ) {}

  @Transactional()
  async inTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

const server = postgresServers()[0]!;

describe('sagas in a Nest application on PostgreSQL', () => {
  let db: TestDatabase;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await startApp({
      databases: [{ url: db.url, poolSize: 2 }],
      providers: [PlaceOrderSaga, OrderService],
      sagaz: { broker: postgresBroker(), roles: { engine: true, relay: false, consume: false } },
    });
    service = app.get(OrderService);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    effects.length = 0;
    await seen.clear();
  });

  it('run to their end; a transactional step commits its rows and messages with its completion', async () => {
    const handle = await service.sagas.start(PlaceOrderSaga, { id: 'a' });
    expect(await handle.outcome()).toEqual({
      status: 'completed',
      output: `confirmed with ${handle.id}:charge`,
    });
    expect(await seen.orders()).toEqual(['a']);
    expect(await seen.outbox()).toEqual(['order.placed']);
    expect(effects).toEqual(['charge a']);
    const kinds = (await service.sagas.history(handle.id)).map(({ kind }) => kind);
    expect(kinds[0]).toBe('saga_started');
  });

  it('undo what was done; a transactional step that fails leaves no row and no message', async () => {
    const handle = await service.sagas.start(PlaceOrderSaga, { id: 'b', fail: 'confirm' });
    const outcome = await handle.outcome();
    expect(outcome.status).toBe('compensated');
    expect(effects).toEqual(['charge b', 'refund b known']);
    expect(await seen.orders()).toEqual([]);
    expect(await seen.outbox()).toEqual([]);
  });

  it('do not take a step for done whose transaction the database rolled back in silence', async () => {
    const handle = await service.sagas.start(PlaceOrderSaga, { id: 's', fail: 'swallow' });
    expect(await handle.outcome()).toMatchObject({
      status: 'compensated',
      failure: { cause: { step: 'confirm', error: { code: 'SAGAZ_TRANSACTION_ABORTED' } } },
    });
    expect(await seen.orders()).toEqual([]);
    expect(effects).toEqual(['charge s', 'refund s known']);
  });

  it('begin with the commit of the transaction that starts them', async () => {
    const handle = await service.inTransaction(async () => {
      await service.orders.insert({ id: 'outer' });
      const started = await service.sagas.start(PlaceOrderSaga, { id: 'c' });
      await expect(started.outcome()).rejects.toThrow(SagaNotCommittedError);
      await expect(started.result()).rejects.toThrow(SagaNotCommittedError);
      expect(effects).toEqual([]);
      return started;
    });
    expect((await handle.outcome()).status).toBe('completed');
  });

  it('never begin when that transaction rolls back', async () => {
    let id = '';
    await expect(
      service.inTransaction(async () => {
        id = (await service.sagas.start(PlaceOrderSaga, { id: 'd' })).id;
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await service.sagas.get(id)).toBeNull();
    expect(effects).toEqual([]);
  });

  it('are one, however many callers start them with the same key and input', async () => {
    const handles = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? service.sagas.start(PlaceOrderSaga, { id: 'e' }, { idempotencyKey: 'e' })
          : service.inTransaction(() =>
              service.sagas.start(PlaceOrderSaga, { id: 'e' }, { idempotencyKey: 'e' }),
            ),
      ),
    );
    expect(new Set(handles.map(({ id }) => id)).size).toBe(1);
    await handles[0]!.outcome();
    expect(effects).toEqual(['charge e']);
  });

  it('go on while the pool of the application is smaller than the number of sagas', async () => {
    const handles = await Promise.all(
      Array.from({ length: 100 }, (_, i) => service.sagas.start(PlaceOrderSaga, { id: `f${i}` })),
    );
    const outcomes = await Promise.all(handles.map((handle) => handle.outcome()));
    expect(outcomes.every(({ status }) => status === 'completed')).toBe(true);
    expect(await seen.orders()).toHaveLength(100);
  });
});
