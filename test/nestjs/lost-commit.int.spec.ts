import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { CommitUnknownError } from '@sagaz/core';
import { Outbox, Saga, SagaInput, SagaOf, SagaStep, Sagas } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';
import { Order, OrderPlaced } from './orders.js';
import { OrderService } from './service.js';

let runs = 0;

@Saga({ name: 'confirm', output: 'confirm' })
@Injectable()
class ConfirmSaga extends SagaOf<{ id: string }, string> {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {
    super();
  }

  @SagaStep({ transactional: true, retry: { attempts: 5, backoff: '1ms' } })
  async confirm(@SagaInput() { id }: { id: string }): Promise<string> {
    runs += 1;
    await this.orders.insert({ id });
    await this.outbox.publish(OrderPlaced, { id }, { key: id });
    return 'confirmed';
  }
}

const server = postgresServers()[0]!;

describe('when the answer to COMMIT is lost', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(server);
    proxy = await CuttingProxy.before(db.url);
    app = await startApp({
      databases: [{ url: proxy.url }],
      providers: [OrderService, ConfirmSaga],
      sagaz: { roles: { engine: true, relay: false, consume: false } },
    });
    service = app.get(OrderService);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await proxy.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  it('the caller is told that it cannot be known, with a manager of its own as well', async () => {
    proxy.cutNextCommit();
    await expect(
      service.inTransaction(async () => {
        await service.insert('a');
        await service.publish('a');
      }),
    ).rejects.toThrow(CommitUnknownError);
    proxy.cutNextCommit();
    await expect(
      service.dataSource.transaction(async (manager) => {
        await manager.insert(Order, { id: 'b' });
        await service.outbox.publish(OrderPlaced, { id: 'b' }, { manager });
      }),
    ).rejects.toThrow(CommitUnknownError);
    // Both had reached the server.
    await expect.poll(() => seen.orders()).toEqual(['a', 'b']);
    expect(await seen.outbox()).toHaveLength(2);
  });

  it('the connection of that transaction is given up, and the others go on', async () => {
    for (let i = 0; i < 10; i += 1) {
      proxy.cutNextCommit();
      await expect(service.inTransaction(() => service.publish(`c${i}`))).rejects.toThrow(
        CommitUnknownError,
      );
    }
    await service.inTransaction(() => service.publish('last'));
    expect(await seen.outbox()).toHaveLength(11);
  });

  it('a transactional step looks whether it is done, and does not do it again', async () => {
    runs = 0;
    proxy.cutNextCommit();
    const handle = await app.get(Sagas).start(ConfirmSaga, { id: 'a' });
    expect(await handle.outcome()).toEqual({ status: 'completed', output: 'confirmed' });
    expect(runs).toBe(1);
    expect(await seen.orders()).toEqual(['a']);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('an entity has its messages again: its caller decides after looking', async () => {
    const order = Order.place('d');
    proxy.cutNextCommit();
    await expect(service.inTransaction(() => service.orders.save(order))).rejects.toThrow(
      CommitUnknownError,
    );
    expect(await seen.outbox()).toEqual(['order.placed']);
    await service.orders.save(order);
    expect(await seen.outbox()).toEqual(['order.placed', 'order.placed']);
  });
});
