import type { INestApplicationContext } from '@nestjs/common';
import { UnserializableValueError } from '@sagaz/core';
import { NoTransactionError, TransactionEndedError } from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { LineAdded, Note, Order, OrderPlaced } from './orders.js';
import { Boom, OrderService } from './service.js';

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
          'SELECT count(*) AS n FROM sagaz.message',
        );
        expect(row?.n).toBe('0');
      });
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('reach repositories that were first asked for in another transaction', async () => {
      const notes = () => service.dataSource.getRepository(Note);
      const insert = (id: string) => notes().createQueryBuilder().insert().values({ id }).execute();
      // A repository keeps the query runner it was made with: that of a transaction long over.
      await service.inTransaction(() => insert('first'));
      await expect(
        service.inTransaction(async () => {
          await insert('second');
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      await insert('third');
      expect((await notes().find()).map(({ id }) => id)).toEqual(['first', 'third']);
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
      expect(await seen.rows('SELECT key FROM sagaz.message')).toEqual([{ key: 'inner' }]);
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
      const rows = await seen.rows<{ key: string }>('SELECT key FROM sagaz.message ORDER BY seq');
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
      await expect(late).rejects.toThrow(TransactionEndedError);
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
      `SELECT id, tenant, topic, key, type, source, content_type, headers, payload, sagaz.lane_status(lane) AS status FROM sagaz.message`,
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
});

function gateOf(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((open) => (resolve = open));
  return { promise, resolve };
}
