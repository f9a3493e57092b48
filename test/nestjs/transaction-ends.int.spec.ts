import type { INestApplicationContext } from '@nestjs/common';
import { TransactionAbortedError } from '@sagaz/core';
import { RawTransactionControlError, TransactionEndedError, recordMessage } from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import type { EntitySubscriberInterface } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Order, OrderChecked, checks, OrderPlaced, OrderTouched } from './orders.js';
import { Boom, OrderService } from './service.js';

describeEachPostgres('messages and the ends of their transactions', (server) => {
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

    it('that fail in it before our flush has sent anything: it is not sent after the rollback', async () => {
      add({ beforeTransactionCommit: () => Promise.reject(new Boom()) });
      const order = new Order();
      order.id = 'a';
      recordMessage(order, OrderChecked, { id: 'a' });
      const failing = service.dataSource.transaction((manager) => manager.save(order));
      const before = checks.done;
      await expect(failing).rejects.toThrow(Boom);
      expect(checks.done, 'the rollback waited for the flush').toBe(before + 1);
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

    it('are refused in @Transactional() too, and the connection goes back without a transaction', async () => {
      for (let i = 0; i < 6; i += 1) {
        await expect(
          service.inTransaction(async () => {
            await service.publish('a');
            await service.orders.query('COMMIT');
            await service.orders.query('BEGIN');
            await service.insert('half');
          }),
        ).rejects.toThrow(RawTransactionControlError);
      }
      expect(await seen.outbox()).toEqual([]);
      expect(await seen.orders()).toEqual([]);
      const idle = await seen.rows(
        "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()",
      );
      expect(idle).toEqual([]);
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
});
