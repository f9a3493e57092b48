import { InjectTransactionHost, TransactionHost } from '@nestjs-cls/transactional';
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getDataSourceToken } from '@nestjs/typeorm';
import {
  AmbiguousTransactionError,
  InvalidOptionsError,
  NoDataSourceError,
  NoTransactionError,
  Outbox,
  Saga,
  SagaConnectionError,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  SagazModule,
  SagazTypeOrmAdapter,
  UnknownDataSourceError,
} from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Order, OrderPlaced } from './orders.js';
import { OrderService } from './service.js';

const server = postgresServers()[0]!;

@Saga({ name: 'bill-order', connection: 'billing', output: 'bill' })
@Injectable()
class BillOrderSaga extends SagaOf<{ id: string }, string> {
  @SagaStep({ transactional: true })
  async bill(@SagaInput() { id }: { id: string }): Promise<string> {
    return `billed ${id}`;
  }
}

@Injectable()
class Hosts {
  constructor(
    readonly orders: TransactionHost<SagazTypeOrmAdapter>,
    @InjectTransactionHost('billing') readonly billing: TransactionHost<SagazTypeOrmAdapter>,
  ) {}
}

describe('an application with several DataSources', () => {
  let orderDb: TestDatabase;
  let billingDb: TestDatabase;
  let app: INestApplicationContext;
  let hosts: Hosts;
  let outbox: Outbox;
  let seenOrders: Observer;
  let seenBilling: Observer;

  beforeAll(async () => {
    orderDb = await createDatabase(server);
    billingDb = await createDatabase(server);
    app = await startApp({
      databases: [{ url: orderDb.url }, { url: billingDb.url, name: 'billing' }],
      providers: [Hosts, BillOrderSaga],
      sagaz: { broker: postgresBroker(), roles: { engine: true, relay: false, consume: false } },
    });
    hosts = app.get(Hosts);
    outbox = app.get(Outbox);
    seenOrders = new Observer(orderDb.url);
    seenBilling = new Observer(billingDb.url);
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([seenOrders.close(), seenBilling.close()]);
    await Promise.all([orderDb.drop(), billingDb.drop()]);
  });
  beforeEach(() => Promise.all([seenOrders.clear(), seenBilling.clear()]));

  const publish = (options = {}) => outbox.publish(OrderPlaced, { id: 'a' }, options);

  it('publishes into the one whose transaction is open', async () => {
    await hosts.billing.withTransaction(() => publish());
    expect([await seenOrders.outbox(), await seenBilling.outbox()]).toEqual([[], ['order.placed']]);
    await hosts.orders.withTransaction(() => publish());
    expect(await seenOrders.outbox()).toEqual(['order.placed']);
  });

  it('is asked which one is meant where two are open', async () => {
    await hosts.orders.withTransaction(() =>
      hosts.billing.withTransaction(async () => {
        await expect(publish()).rejects.toThrow(AmbiguousTransactionError);
        await expect(publish()).rejects.toThrow(
          "transactions of several connections are open here (default, billing). Name one, for example { connection: 'default' }",
        );
        await publish({ connection: 'billing' });
      }),
    );
    expect([await seenOrders.outbox(), await seenBilling.outbox()]).toEqual([[], ['order.placed']]);
  });

  it('finds the outbox of an explicit manager', async () => {
    const billing = app.get<DataSource>(getDataSourceToken('billing'));
    await billing.transaction((manager) => publish({ manager }));
    expect(await seenBilling.outbox()).toEqual(['order.placed']);
  });

  it('refuses a name, a manager and a connection without transaction that it does not know', async () => {
    await expect(publish({ connection: 'shop' })).rejects.toThrow(
      "'shop' belongs to no connection of Sagaz; it knows 'default', 'billing'.",
    );
    const stranger = await new DataSource({ type: 'postgres', url: orderDb.url }).initialize();
    await stranger.transaction((manager) =>
      expect(publish({ manager })).rejects.toThrow(UnknownDataSourceError),
    );
    await stranger.destroy();
    await hosts.orders.withTransaction(() =>
      expect(publish({ connection: 'billing' })).rejects.toThrow(NoTransactionError),
    );
  });

  it('keeps a saga where it says, and starts it in a transaction of that connection only', async () => {
    const sagas = app.get(Sagas);
    const handle = await hosts.billing.withTransaction(() =>
      sagas.start(BillOrderSaga, { id: 'a' }),
    );
    expect(await handle.outcome()).toEqual({ status: 'completed', output: 'billed a' });
    const rows = await seenBilling.rows('SELECT id FROM sagaz.saga_all');
    expect(rows).toEqual([{ id: handle.id }]);
    expect((await sagas.get(handle.id))?.name).toBe('bill-order');
    const orders = app.get<DataSource>(getDataSourceToken());
    await orders.transaction((manager) =>
      expect(sagas.start(BillOrderSaga, { id: 'b' }, { manager })).rejects.toThrow(
        SagaConnectionError,
      ),
    );
  });

  it('does not start with a DataSource that is not there', async () => {
    @Module({
      imports: [
        SagazModule.forRoot({
          service: 'a',
          store: postgres(),
          dataSources: ['shop'],
          roles: { relay: false, consume: false },
        }),
      ],
    })
    class Wrong {}
    const starting = NestFactory.createApplicationContext(Wrong, {
      logger: false,
      abortOnError: false,
    });
    await expect(starting).rejects.toThrow(InvalidOptionsError);
    await expect(starting).rejects.toThrow(
      "dataSources is 'shop': import TypeOrmModule.forRoot({ name: 'shop', … })",
    );
  });
});

describe('two applications in one process', () => {
  let dbs: TestDatabase[];
  let apps: INestApplicationContext[];
  let seen: Observer[];

  beforeAll(async () => {
    dbs = [await createDatabase(server), await createDatabase(server)];
    apps = [];
    for (const { url } of dbs) {
      apps.push(await startApp({ databases: [{ url }], providers: [OrderService] }));
    }
    seen = dbs.map(({ url }) => new Observer(url));
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await Promise.all(seen.map((one) => one.close()));
    await Promise.all(dbs.map((db) => db.drop()));
  });

  it('each work on their own database, also one inside a transaction of the other', async () => {
    const [first, second] = apps.map((app) => ({
      outbox: app.get(Outbox),
      orders: app.get(OrderService).orders,
    })) as [
      { outbox: Outbox; orders: OrderService['orders'] },
      { outbox: Outbox; orders: OrderService['orders'] },
    ];
    await first.outbox.transaction(async () => {
      await first.orders.insert({ id: 'first' });
      await first.outbox.publish(OrderPlaced, { id: 'first' }, { key: 'first' });
      await second.outbox.transaction(async () => {
        await second.orders.insert({ id: 'second' });
        await second.outbox.publish(OrderPlaced, { id: 'second' }, { key: 'second' });
      });
      await expect(second.outbox.publish(OrderPlaced, { id: 'x' })).rejects.toThrow(
        NoTransactionError,
      );
      expect(await first.orders.count()).toBe(1);
    });
    for (const [index, id] of ['first', 'second'].entries()) {
      expect(await seen[index]!.orders()).toEqual([id]);
      expect(await seen[index]!.rows('SELECT key FROM sagaz.message')).toEqual([{ key: id }]);
    }
  });
});

describe('an application without TypeORM', () => {
  let db: TestDatabase;
  let other: TestDatabase;
  let app: INestApplicationContext;
  let seen: Observer;

  @Module({})
  class AppModule {}

  beforeAll(async () => {
    db = await createDatabase(server);
    other = await createDatabase(server);
    app = await NestFactory.createApplicationContext(
      {
        module: AppModule,
        imports: [
          SagazModule.forRoot({
            service: 'worker',
            stores: { default: postgres({ url: db.url }), other: postgres({ url: other.url }) },
            broker: postgresBroker({ url: db.url }),
            roles: { engine: false, relay: true, consume: false },
          }),
        ],
      },
      { logger: ['error'] },
    );
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await Promise.all([db.drop(), other.drop()]);
  });

  it('publishes in transactions of the store, and relays the outboxes of all its stores', async () => {
    const outbox = app.get(Outbox);
    await outbox.transaction(() => outbox.publish(OrderPlaced, { id: 'a' }));
    await outbox.transaction(() => outbox.publish(OrderPlaced, { id: 'b' }), {
      connection: 'other',
    });
    await expect(
      outbox.transaction(async () => {
        await outbox.publish(OrderPlaced, { id: 'c' });
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    await expect
      .poll(async () => (await seen.rows('SELECT id FROM sagaz_broker.message')).length, {
        timeout: 10_000,
      })
      .toBe(2);
    expect(await seen.outbox()).toEqual([]);
  });

  it('has no manager, and says so', async () => {
    await expect(
      app.get(Outbox).transaction((manager) => manager.save(new Order())),
    ).rejects.toThrow(NoDataSourceError);
  });
});
