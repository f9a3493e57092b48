import { Propagation, TransactionHost, Transactional } from '@nestjs-cls/transactional';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { InjectRepository, getDataSourceToken } from '@nestjs/typeorm';
import { TransactionAbortedError, UnserializableValueError } from '@sagaz/core';
import {
  NoTransactionError,
  Outbox,
  RawTransactionControlError,
  TransactionEndedError,
  UnsavedEntityMessagesError,
} from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { DataSource, Repository, type EntitySubscriberInterface } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Line, LineAdded, Order, OrderPlaced, OrderTouched } from './orders.js';

class Boom extends Error {}

@Injectable()
class OrderService {
  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly outbox: Outbox,
    readonly dataSource: DataSource,
  ) {}

  @Transactional()
  async inTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.RequiresNew)
  async inNewTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.Nested)
  async inSavepoint<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  /** Three calls away from whoever opened the transaction. */
  async insert(id: string): Promise<void> {
    await this.orders.insert({ id });
  }

  async publish(id: string): Promise<void> {
    await this.outbox.publish(OrderPlaced, { id }, { key: id });
  }
}

describeEachPostgres('messages in TypeORM transactions', (server) => {
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

  describe('inside @Transactional()', () => {
    it('leave with the rows of injected repositories when it commits', async () => {
      await service.inTransaction(async () => {
        await service.insert('a');
        await service.publish('a');
      });
      expect(await seen.orders()).toEqual(['a']);
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('leave nothing behind when it rolls back, and neither do repositories', async () => {
      await expect(
        service.inTransaction(async () => {
          await service.insert('a');
          await service.publish('a');
          expect(await service.orders.count(), 'reads its own writes').toBe(1);
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      expect(await seen.orders()).toEqual([]);
      expect(await seen.outbox()).toEqual([]);
    });

    it('are written by the commit alone: before it nobody holds the locks of their keys', async () => {
      await service.inTransaction(async () => {
        await service.publish('a');
        const [row] = await service.orders.query<{ n: string }[]>(
          'SELECT count(*) AS n FROM sagaz.outbox',
        );
        expect(row?.n).toBe('0');
      });
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('reach repositories that were first asked for in another transaction', async () => {
      // A repository keeps the query runner it was made with.
      await service.inTransaction(async () => {
        await service.dataSource.getRepository(Line).count();
      });
      await expect(
        service.inTransaction(async () => {
          await service.dataSource
            .getRepository(Line)
            .createQueryBuilder()
            .insert()
            .values({ id: 'l' })
            .execute();
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      expect(await service.dataSource.getRepository(Line).createQueryBuilder().getCount()).toBe(0);
    });

    it('of a REQUIRES_NEW inside outlive the rollback of the outer one', async () => {
      await expect(
        service.inTransaction(async () => {
          await service.insert('outer');
          await service.publish('outer');
          await service.inNewTransaction(async () => {
            await service.insert('inner');
            await service.publish('inner');
          });
          expect(await seen.outbox(), 'committed by itself').toHaveLength(1);
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      expect(await seen.orders()).toEqual(['inner']);
      expect(await seen.rows('SELECT key FROM sagaz.outbox')).toEqual([{ key: 'inner' }]);
    });

    it('of a savepoint that rolls back are dropped, those around it are kept', async () => {
      await service.inTransaction(async () => {
        await service.publish('before');
        await expect(
          service.inSavepoint(async () => {
            await service.insert('inside');
            await service.publish('inside');
            await service.dataSource.transaction(() => service.publish('deeper'));
            throw new Boom();
          }),
        ).rejects.toThrow(Boom);
        await service.inSavepoint(() => service.publish('kept'));
        await service.publish('after');
      });
      expect(await seen.orders()).toEqual([]);
      const rows = await seen.rows<{ key: string }>('SELECT key FROM sagaz.outbox ORDER BY seq');
      expect(rows.map(({ key }) => key)).toEqual(['before', 'kept', 'after']);
    });

    it('go on in 200 transactions at once on five connections', async () => {
      const ids = Array.from({ length: 200 }, (_, i) => `o${i}`);
      await Promise.all(
        ids.map((id) =>
          service.inTransaction(async () => {
            await service.insert(id);
            await service.publish(id);
          }),
        ),
      );
      expect(await seen.orders()).toHaveLength(200);
      expect(await seen.outbox()).toHaveLength(200);
    });

    it('are refused when the work that publishes them was not awaited', async () => {
      let late: Promise<unknown> | undefined;
      const gate = gateOf();
      await service.inTransaction(async () => {
        late = gate.promise.then(() => service.publish('late'));
      });
      gate.resolve();
      await expect(late).rejects.toThrow(NoTransactionError);
      expect(await seen.outbox()).toEqual([]);
    });
  });

  describe('with an explicit manager', () => {
    it('leave with its transaction', async () => {
      await service.dataSource.transaction(async (manager) => {
        await manager.insert(Order, { id: 'a' });
        await service.outbox.publish(OrderPlaced, { id: 'a' }, { manager });
      });
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('are refused when the manager has no transaction', async () => {
      const refused = service.outbox.publish(
        OrderPlaced,
        { id: 'a' },
        { manager: service.dataSource.manager },
      );
      await expect(refused).rejects.toThrow(NoTransactionError);
      await expect(refused).rejects.toThrow('the manager has no transaction open');
    });
  });

  it('are refused where no transaction is in reach, in words that say what to do', async () => {
    await expect(service.publish('a')).rejects.toThrow(
      'Cannot publish order.placed: no transaction is open here, so it could happen without the business data, or the data without it. Call it inside @Transactional()',
    );
  });

  it('leave by themselves when they are standalone, whatever becomes of the transaction', async () => {
    await expect(
      service.inTransaction(async () => {
        await service.outbox.publish(OrderPlaced, { id: 'a' }, { standalone: true });
        throw new Boom();
      }),
    ).rejects.toThrow(Boom);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('carry every field they were given', async () => {
    const payload = { id: `q'"$1 ünïcødé ${'x'.repeat(1 << 20)}` };
    const id = await service.outbox.transaction(() =>
      service.outbox.publish(OrderPlaced, payload, {
        key: "k'1",
        headers: { 'X-Shop': 'berlin' },
        tenant: 'acme',
        delay: '1h',
      }),
    );
    const [row] = await seen.rows<{ payload: Buffer; headers: object }>(
      `SELECT id, tenant, topic, key, type, source, content_type, headers, payload, status FROM sagaz.outbox`,
    );
    expect(row).toMatchObject({
      id,
      tenant: 'acme',
      topic: 'order',
      key: "k'1",
      type: 'order.placed',
      source: 'orders',
      content_type: 'application/json',
      headers: { 'x-shop': 'berlin' },
      status: 'delayed',
    });
    expect(JSON.parse(row!.payload.toString())).toEqual(payload);
  });

  it('are refused with the path of a value that JSON would bend', async () => {
    await expect(
      service.outbox.transaction(() =>
        service.outbox.publish(OrderPlaced, { id: Number.NaN as never }),
      ),
    ).rejects.toThrow(UnserializableValueError);
  });

  it('publish in the order of the calls, awaited or not, recorded or not', async () => {
    await service.inTransaction(async () => {
      const order = Order.place('a');
      const first = service.outbox.publish(LineAdded, { id: '1' }, { key: 'a' });
      order.touch();
      await Promise.all([service.outbox.publish(LineAdded, { id: '2' }, { key: 'a' }), first]);
      await service.orders.save(order);
    });
    expect(await seen.outbox()).toEqual([
      'order.placed',
      'line.added',
      'order.touched',
      'line.added',
    ]);
  });

  describe('a commit', () => {
    it('that the database turned into a rollback is an error', async () => {
      await service.inTransaction(() => service.insert('a'));
      await expect(
        service.inTransaction(async () => {
          await service.insert('a').catch(() => 'swallowed');
        }),
      ).rejects.toThrow(TransactionAbortedError);
      await expect(
        service.dataSource.transaction(async (manager) => {
          await manager.insert(Order, { id: 'a' }).catch(() => 'swallowed');
        }),
      ).rejects.toThrow(TransactionAbortedError);
    });

    it('that the database turned into a rollback publishes nothing', async () => {
      await service.inTransaction(() => service.insert('a'));
      await expect(
        service.inTransaction(async () => {
          await service.publish('a');
          await service.insert('a').catch(() => 'swallowed');
        }),
      ).rejects.toThrow(TransactionAbortedError);
      expect(await seen.outbox()).toEqual([]);
    });
  });

  describe('beside other subscribers', () => {
    let subscriber: EntitySubscriberInterface | undefined;
    const add = (given: EntitySubscriberInterface): void => {
      subscriber = given;
      service.dataSource.subscribers.push(given);
    };
    afterEach(() => {
      const { subscribers } = service.dataSource;
      const at = subscriber === undefined ? -1 : subscribers.indexOf(subscriber);
      if (at !== -1) subscribers.splice(at, 1);
      subscriber = undefined;
    });

    it('that publish in their own before-commit hook, after the flush: written at once', async () => {
      add({
        async beforeTransactionCommit({ manager }) {
          // Long after the flush.
          for (let i = 0; i < 20; i += 1) await manager.query('SELECT 1');
          await service.outbox.publish(OrderTouched, { id: 'late' }, { manager });
        },
      });
      await service.inTransaction(() => service.publish('a'));
      expect(await seen.outbox()).toEqual(['order.placed', 'order.touched']);
    });

    it('that fail in their before-commit hook while the flush is under way: nothing is left behind', async () => {
      add({ beforeTransactionCommit: () => Promise.reject(new Boom()) });
      for (let i = 0; i < 20; i += 1) {
        await expect(service.inTransaction(() => service.publish('a'))).rejects.toThrow(Boom);
      }
      expect(await seen.outbox()).toEqual([]);
    });

    it('that throw after the commit do not make it look failed', async () => {
      add({ afterTransactionCommit: () => Promise.reject(new Boom()) });
      await service.inTransaction(() => service.publish('a'));
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('that throw before the rollback do not leave the connection inside a transaction', async () => {
      add({ beforeTransactionRollback: () => Promise.reject(new Boom('hook')) });
      for (let i = 0; i < 6; i += 1) {
        await expect(
          service.inTransaction(async () => {
            await service.insert('a');
            throw new Boom('work');
          }),
        ).rejects.toThrow('work');
      }
      const idle = await seen.rows(
        "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()",
      );
      expect(idle).toEqual([]);
    });
  });

  describe('with transaction control past TypeORM', () => {
    it.each([
      ['COMMIT', ['COMMIT', 'BEGIN']],
      ['ROLLBACK', ['ROLLBACK', 'BEGIN']],
      ['ROLLBACK TO SAVEPOINT', ['SAVEPOINT mine', 'ROLLBACK TO SAVEPOINT mine']],
    ])('are refused: %s', async (_name, statements) => {
      for (const past of ['query runner', 'pg client'] as const) {
        await expect(
          service.dataSource.transaction(async (manager) => {
            await service.outbox.publish(OrderPlaced, { id: 'a' }, { manager });
            const client: unknown = await manager.queryRunner!.connect();
            for (const sql of statements) {
              if (past === 'query runner') await manager.query(sql);
              else await (client as { query(sql: string): Promise<unknown> }).query(sql);
            }
          }),
        ).rejects.toThrow(RawTransactionControlError);
      }
      expect(await seen.outbox()).toEqual([]);
    });

    it('are never carried into the next transaction of the connection', async () => {
      const runner = service.dataSource.createQueryRunner();
      await runner.startTransaction();
      await service.outbox.publish(OrderPlaced, { id: 'lost' }, { manager: runner.manager });
      // A connection that is lost at COMMIT fires no hook at all.
      await runner.query('ROLLBACK');
      Object.assign(runner, { isTransactionActive: false, transactionDepth: 0 });
      await runner.startTransaction();
      await service.outbox.publish(OrderTouched, { id: 'b' }, { manager: runner.manager });
      await runner.commitTransaction();
      await runner.release();
      expect(await seen.outbox()).toEqual(['order.touched']);
    });
  });

  describe('recorded on entities', () => {
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
      const { recordMessage } = await import('@sagaz/nestjs');
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

  it('are refused by a transaction that has ended', async () => {
    const runner = service.dataSource.createQueryRunner();
    await runner.startTransaction();
    // Refused, or dropped with the transaction: it depends on who comes first.
    const publishing = service.outbox
      .publish(OrderPlaced, { id: 'a' }, { manager: runner.manager })
      .catch((error: unknown) => error);
    await runner.rollbackTransaction();
    const outcome = await publishing;
    expect(typeof outcome === 'string' || outcome instanceof TransactionEndedError).toBe(true);
    await runner.release();
    expect(await seen.outbox()).toEqual([]);
  });

  it('join the host that was injected, and the DataSource of the application', () => {
    expect(app.get(TransactionHost)).toBeDefined();
    expect(app.get<DataSource>(getDataSourceToken())).toBe(service.dataSource);
  });
});

function gateOf(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((open) => (resolve = open));
  return { promise, resolve };
}
