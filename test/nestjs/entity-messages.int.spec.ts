import type { INestApplicationContext } from '@nestjs/common';
import { UnsavedEntityMessagesError, recordMessage } from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Line, LineAdded, Order } from './orders.js';
import { Boom, OrderService } from './service.js';

describeEachPostgres('messages recorded on entities', (server) => {
  let db: TestDatabase;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await startApp({ databases: [{ url: db.url, poolSize: 5 }], providers: [OrderService] });
    service = app.get(OrderService);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  it('leave when the entity is saved, with a transaction or without', async () => {
    await service.orders.save(Order.place('a'));
    await service.inTransaction(() => service.orders.save(Order.place('b')));
    await service.dataSource.transaction((manager) => manager.save(Order.place('c')));
    expect(await seen.outbox()).toEqual(Array(3).fill('order.placed'));
  });

  it('leave when no column has changed, though TypeORM then calls nobody', async () => {
    const order = await service.orders.save(Order.place('a'));
    order.touch();
    await service.orders.save(order);
    await service.inTransaction(async () => {
      order.touch();
      await service.orders.save(order);
    });
    await service.dataSource.transaction(async (manager) => {
      order.touch();
      await manager.getRepository(Order).save([order]);
    });
    expect(await seen.outbox()).toEqual([
      'order.placed',
      ...Array<string>(3).fill('order.touched'),
    ]);
  });

  it('leave with an entity that is saved by cascade, changed or not', async () => {
    const order = Order.place('a');
    const line = new Line();
    line.id = 'l';
    order.lines = [line];
    await service.orders.save(order);
    recordMessage(line, LineAdded, { id: 'l' });
    await service.orders.save(order);
    expect(await seen.outbox()).toEqual(['order.placed', 'line.added']);
  });

  it('leave when the entity is removed', async () => {
    const order = await service.orders.save(Order.place('a'));
    order.touch();
    await service.orders.remove(order);
    expect(await seen.outbox()).toEqual(['order.placed', 'order.touched']);
  });

  it('are back on the entity after a rollback, so that a repeated transaction publishes them', async () => {
    const order = Order.place('a');
    let attempts = 0;
    const attempt = () =>
      service.inTransaction(async () => {
        await service.orders.save(order);
        attempts += 1;
        if (attempts === 1) throw new Boom();
      });
    await expect(attempt()).rejects.toThrow(Boom);
    expect(await seen.outbox()).toEqual([]);
    await attempt();
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('are back after the rollback of the savepoint in which it was saved, and leave with the next save', async () => {
    const order = Order.place('a');
    await service.inTransaction(async () => {
      await expect(
        service.inSavepoint(async () => {
          await service.orders.save(order);
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      await service.orders.save(order);
    });
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('fail the commit of the transaction in which the entity was not saved', async () => {
    const order = await service.orders.save(Order.place('a'));
    const failing = service.inTransaction(async () => {
      await service.insert('b');
      order.touch();
    });
    await expect(failing).rejects.toThrow(UnsavedEntityMessagesError);
    await expect(failing).rejects.toThrow('Order recorded "order.touched" and was never saved');
    expect(await seen.orders()).toEqual(['a']);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });
});
