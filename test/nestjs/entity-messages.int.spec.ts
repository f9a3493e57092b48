import type { INestApplicationContext } from '@nestjs/common';
import { TransactionEndedError, UnsavedEntityMessagesError, recordMessage } from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { ClsServiceManager } from 'nestjs-cls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { CustomOrders } from './doors.js';
import { Line, LineAdded, Order } from './orders.js';
import { Boom, OrderService } from './service.js';

describeEachPostgres('messages recorded on entities', (server) => {
  let db: TestDatabase;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await startApp({
      databases: [{ url: db.url, poolSize: 5 }],
      providers: [OrderService, CustomOrders],
    });
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

  describe('with each way of writing an entity that is in hand, without a transaction and in one', () => {
    type Write = (order: Order) => Promise<unknown>;
    const fresh: Readonly<Record<string, Write>> = {
      'repository.insert': (order) => service.orders.insert(order),
      'repository.insert of several': (order) => service.orders.insert([order]),
      'repository.upsert': (order) => service.orders.upsert(order, ['id']),
      'manager.insert': (order) => service.dataSource.manager.insert(Order, order),
      'a custom repository': (order) => new CustomOrders(service.dataSource).insert(order),
      'a custom repository that was made before Sagaz': (order) =>
        app.get(CustomOrders).save(order),
      'dataSource.createQueryBuilder': (order) =>
        service.dataSource.createQueryBuilder().insert().into(Order).values(order).execute(),
      'a query builder of a repository': (order) =>
        service.orders.createQueryBuilder().insert().values([order]).execute(),
      'a query builder without listeners': (order) =>
        service.orders.createQueryBuilder().insert().values(order).callListeners(false).execute(),
      'save without listeners': (order) => service.orders.save(order, { listeners: false }),
      'save without a transaction': (order) => service.orders.save(order, { transaction: false }),
    };
    const stored: Readonly<Record<string, Write>> = {
      'repository.save, unchanged': (order) => service.orders.save(order),
      'save of a custom repository, unchanged': (order) => app.get(CustomOrders).save(order),
      'repository.upsert': (order) => service.orders.upsert(order, ['id']),
      'repository.update with it': (order) => service.orders.update(order.id, order),
      'repository.remove': (order) => service.orders.remove(order),
      'a query builder, whereEntity': (order) =>
        service.orders
          .createQueryBuilder()
          .update()
          .set({ status: 'seen' })
          .whereEntity(order)
          .execute(),
    };
    it.each(Object.entries(fresh))('leave with %s', async (_name, write) => {
      await write(Order.place('a'));
      await service.inTransaction(() => write(Order.place('b')));
      expect(await seen.orders()).toEqual(['a', 'b']);
      expect(await seen.outbox()).toEqual(['order.placed', 'order.placed']);
    });

    it.each(Object.entries(stored))('leave with %s', async (_name, write) => {
      await service.insert('a');
      await service.insert('b');
      const [a, b] = await service.orders.find({ order: { id: 'ASC' } });
      a!.touch();
      await write(a!);
      await service.inTransaction(() => {
        b!.touch();
        return write(b!);
      });
      expect(await seen.outbox()).toEqual(['order.touched', 'order.touched']);
    });

    it('are back on the entity when the write fails', async () => {
      await service.insert('a');
      const order = Order.place('a');
      await expect(service.orders.insert(order)).rejects.toThrow('duplicate key');
      await expect(
        service.orders.createQueryBuilder().insert().values(order).execute(),
      ).rejects.toThrow('duplicate key');
      expect(await seen.outbox()).toEqual([]);
      await service.orders.save(order);
      expect(await seen.outbox()).toEqual(['order.placed']);
    });
  });

  describe('with each way of writing the row of an entity that is not in hand', () => {
    const byId: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      'repository.update': (id) => service.orders.update(id, { status: 'seen' }),
      'repository.update by criteria': (id) => service.orders.update({ id }, { status: 'seen' }),
      'repository.delete': (id) => service.orders.delete(id),
      'repository.insert of a copy': (id) => service.orders.insert({ id }),
      'repository.upsert of a copy': (id) => service.orders.upsert({ id }, ['id']),
      'update of a query builder': (id) =>
        service.dataSource
          .createQueryBuilder()
          .update(Order)
          .set({ status: 'seen' })
          .where('id = :id', { id })
          .execute(),
      'delete of a query builder': (id) =>
        service.orders
          .createQueryBuilder()
          .delete()
          .where('id IN (:...ids)', { ids: [id] })
          .execute(),
    };

    it.each(Object.entries(byId))('are refused at once without a transaction: %s', (_name, write) =>
      request(async () => {
        const order = Order.place('a');
        await expect(write('a')).rejects.toThrow(UnsavedEntityMessagesError);
        await expect(write('a')).rejects.toThrow('its row is written without it');
        await write('b');
        await service.orders.save(order);
        expect(await seen.outbox()).toEqual(['order.placed']);
        await write('a').catch(() => 'there already');
      }),
    );

    it.each(Object.entries(byId))('fail the commit of a transaction: %s', (_name, write) =>
      request(async () => {
        const order = Order.place('a');
        await expect(service.inTransaction(() => write('a'))).rejects.toThrow(
          UnsavedEntityMessagesError,
        );
        expect(await seen.orders()).toEqual([]);
        await service.inTransaction(async () => {
          if (!_name.includes('copy')) await write('a');
          await service.orders.save(order);
        });
        expect(await seen.outbox()).toEqual(['order.placed']);
      }),
    );

    it.each(Object.entries(byId))(
      'fail the commit of the transaction in which they were recorded: %s',
      async (_name, write) => {
        const failing = service.inTransaction(async () => {
          Order.place('a');
          await write('a');
        });
        await expect(failing).rejects.toThrow(UnsavedEntityMessagesError);
        expect(await seen.orders()).toEqual([]);
      },
    );

    it('are none of the business of another request', async () => {
      const recorded = gateOf();
      const written = gateOf();
      const one = request(async () => {
        const order = Order.place('a');
        recorded.resolve();
        await written.promise;
        await service.orders.save(order);
      });
      await recorded.promise;
      await request(() => service.orders.update('a', { status: 'seen' }));
      written.resolve();
      await one;
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it.each<[string, <T>(work: () => Promise<T>) => Promise<T>]>([
      ['in no context of their own', (work) => work()],
      ['in a context each', request],
      ['in a transaction each', (work) => service.inTransaction(work)],
    ])('are none of the business of the next job of a loop, %s', async (_name, job) => {
      const kept: Order[] = [];
      // Records before its first await, so in the context of the loop, where it opens none of its own.
      const first = job(async () => {
        kept.push(Order.place('a'));
        await Promise.reject(new Boom());
      });
      await expect(first).rejects.toThrow(Boom);
      await job(() => service.orders.update('a', { status: 'seen' }));
      await service.inTransaction(() => service.orders.insert({ id: 'a' }));
      expect(await seen.outbox()).toEqual([]);
      await service.orders.save(kept);
      expect(await seen.outbox()).toEqual(['order.placed']);
    });
  });

  it('are refused in code that nobody awaited, and stay unsaid', async () => {
    const gate = gateOf();
    let late: Promise<unknown> | undefined;
    await service.inTransaction(async () => {
      late = gate.promise.then(() => service.orders.save(Order.place('late')));
      late.catch(() => undefined);
    });
    gate.resolve();
    await expect(late).rejects.toThrow(TransactionEndedError);
    expect(await seen.outbox()).toEqual([]);
  });
});

/** As if it came with a request of its own. */
function request<T>(work: () => Promise<T>): Promise<T> {
  return ClsServiceManager.getClsService().run({ ifNested: 'override' }, work);
}

function gateOf(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((open) => (resolve = open));
  return { promise, resolve };
}
