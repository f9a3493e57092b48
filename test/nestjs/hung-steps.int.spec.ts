import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Saga, SagaInput, SagaOf, SagaStep, Sagas } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type pg from 'pg';
import { Repository } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';
import { heldOrder } from './held-order.js';
import { Order } from './orders.js';
import { OrderService } from './service.js';

type Work = 'waits for a lock' | 'is forgotten' | 'never returns';

@Saga({ name: 'hang' })
@Injectable()
class HangSaga extends SagaOf<{ id: string; work: Work }> {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {
    super();
  }

  @SagaStep({ transactional: true, timeout: '5s', retry: { attempts: 1 } })
  async hang(@SagaInput() { id, work }: { id: string; work: Work }): Promise<void> {
    await this.orders.insert({ id });
    switch (work) {
      case 'waits for a lock':
        await this.orders.update({ id: 'held' }, { id: 'changed' });
        return;
      case 'is forgotten':
        await this.orders.query("SELECT 'forget me'");
        return;
      case 'never returns':
        await new Promise(() => undefined);
    }
  }
}

@Saga({ name: 'work' })
@Injectable()
class WorkSaga extends SagaOf<{ id: string }> {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {
    super();
  }

  @SagaStep({ transactional: true })
  async work(@SagaInput() { id }: { id: string }): Promise<void> {
    await this.orders.insert({ id });
  }
}

const HANGS: readonly Work[] = ['waits for a lock', 'is forgotten', 'never returns'];

describe('a transactional step that hangs', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;
  let holder: pg.Client;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    proxy = await CuttingProxy.before(db.url);
    app = await startApp({
      // One connection more than there are steps that hang, which is the one that steps do not use.
      databases: [{ url: proxy.url, poolSize: HANGS.length + 1 }],
      providers: [OrderService, HangSaga, WorkSaga],
      sagaz: { roles: { engine: true, relay: false, consume: false } },
    });
    service = app.get(OrderService);
    seen = new Observer(db.url);
    holder = await heldOrder(db.url);
  });
  afterAll(async () => {
    await holder.end();
    await app.close();
    await proxy.close();
    await seen.close();
    await db.drop();
  });

  it('gives its connection back soon after its time limit, and leaves nothing behind', async () => {
    const sagas = app.get(Sagas);
    const forgotten = proxy.forgetNext('forget me');
    const hung = await Promise.all(HANGS.map((work) => sagas.start(HangSaga, { id: work, work })));
    await forgotten;
    const next = await Promise.all(HANGS.map((_, n) => sagas.start(WorkSaga, { id: `next${n}` })));
    const timeout = '2m';
    for (const handle of next) {
      expect((await handle.outcome({ timeout })).status).toBe('completed');
    }
    for (const handle of hung) {
      expect(await handle.outcome({ timeout })).toMatchObject({
        status: 'compensated',
        failure: { cause: { error: { name: 'StepAbortedError' } } },
      });
    }
    expect(proxy.forgotten).toBe(0);
    // The whole pool can be used at once.
    const all = [...HANGS, 'spare'].map((id) =>
      service.inTransaction(async () => {
        await service.dataSource.query('SELECT pg_sleep(0.1)');
        await service.insert(`all ${id}`);
      }),
    );
    await Promise.all(all);
    const sessions = await seen.rows(
      `SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND (wait_event_type = 'Lock' OR xact_start < now() - interval '20 s')
          AND pid <> ${String(Reflect.get(holder, 'processID'))}`,
    );
    expect(sessions).toEqual([]);
    await holder.query('ROLLBACK');
    expect(await seen.orders()).toEqual(
      [
        'held',
        ...HANGS.map((_, n) => `next${n}`),
        ...[...HANGS, 'spare'].map((id) => `all ${id}`),
      ].sort(),
    );
  }, 150_000);

  it('of a statement nobody awaited keeps a rolled-back transaction for seconds only', async () => {
    await holder.query('BEGIN');
    await holder.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE");
    // The lock is held until the transaction has ended.
    await expect(
      service.inTransaction(() =>
        Promise.all([
          service.orders.update({ id: 'held' }, { id: 'changed' }),
          Promise.reject(new Error('on purpose')),
        ]),
      ),
    ).rejects.toThrow('on purpose');
    await service.inTransaction(() => service.insert('after'));
    await holder.query('ROLLBACK');
    expect(await seen.orders()).toContain('held');
  }, 120_000);
});
