import type { INestApplicationContext } from '@nestjs/common';
import { CommitUnknownError } from '@sagaz/core';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import type { EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';
import { Order, OrderPlaced } from './orders.js';
import { Boom, OrderService } from './service.js';

// The messages of a transaction are sent together with its COMMIT.
describe('messages that are written together with COMMIT', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;
  let holder: pg.Client;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    proxy = await CuttingProxy.before(db.url);
    app = await startApp({ databases: [{ url: proxy.url }], providers: [OrderService] });
    service = app.get(OrderService);
    seen = new Observer(db.url);
    holder = new pg.Client({ connectionString: db.url });
    await holder.connect();
    // Stands for whatever an outbox refuses or waits for.
    await holder.query(`CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.key = 'refused' THEN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END IF;
        IF NEW.key = 'slow' THEN PERFORM pg_advisory_xact_lock(4711); END IF;
        RETURN NEW;
      END $$`);
    await holder.query(`CREATE TRIGGER judge BEFORE INSERT ON sagaz.message
      FOR EACH ROW EXECUTE FUNCTION judge()`);
  });
  afterAll(async () => {
    await holder.end();
    await app.close();
    await seen.close();
    await proxy.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  const errorOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'it was committed',
      (error: unknown) => error,
    );
  async function expectNothing(): Promise<void> {
    expect(await seen.orders()).toEqual([]);
    expect(await seen.outbox()).toEqual([]);
    await service.inTransaction(async () => {
      await service.insert('next');
      await service.publish('next');
    });
    expect(await seen.orders()).toEqual(['next']);
    expect(await seen.outbox()).toEqual(['order.placed']);
  }
  const placeAndPublish = (key: string): Promise<void> =>
    service.inTransaction(async () => {
      await service.insert(key);
      await service.publish(key);
    });

  it('fail with their own error, and the transaction with them', async () => {
    const error = await errorOf(placeAndPublish('refused'));
    expect(error).toMatchObject({ code: '23514', name: 'error' });
    await expectNothing();
  });

  it('fail so in a transaction of TypeORM itself, and one without another statement', async () => {
    for (const insert of [true, false]) {
      const error = await errorOf(
        service.dataSource.transaction(async (manager) => {
          if (insert) await manager.insert(Order, { id: 'a' });
          const message = { id: 'a' };
          await service.outbox.publish(OrderPlaced, message, { key: 'refused', manager });
        }),
      );
      expect(error).toMatchObject({ code: '23514' });
    }
    await expectNothing();
  });

  /** Commits while the messages wait for a lock. */
  async function commitWaits(): Promise<{
    readonly ended: Promise<unknown>;
    readonly pid: unknown;
  }> {
    await holder.query('SELECT pg_advisory_lock(4711)');
    const ended = errorOf(placeAndPublish('slow'));
    const waiting = (): Promise<{ pid: number }[]> =>
      seen.rows<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
    await expect.poll(waiting).toHaveLength(1);
    return { ended, pid: (await waiting())[0]?.pid };
  }
  const unlock = (): Promise<unknown> => holder.query('SELECT pg_advisory_unlock(4711)');

  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'are known not to be committed if %s ends their wait for a lock',
    async (end) => {
      const { ended, pid } = await commitWaits();
      await holder.query(`SELECT ${end}($1)`, [pid]);
      const code = end === 'pg_cancel_backend' ? '57014' : '57P01';
      expect(await ended).toMatchObject({ code, name: 'error' });
      await unlock();
      await expectNothing();
    },
  );

  it('are not known to be committed if the connection is lost with the answer', async () => {
    proxy.cutNextCommit();
    expect(await errorOf(placeAndPublish('cut'))).toBeInstanceOf(CommitUnknownError);
    await expect.poll(() => seen.outbox()).toEqual(['order.placed']);
    expect(await seen.orders()).toEqual(['cut']);
  });

  async function beside(
    subscriber: EntitySubscriberInterface,
    work: () => Promise<unknown>,
  ): Promise<void> {
    // The connection is asked once whether it keeps its prepared statements.
    await placeAndPublish('first');
    await seen.clear();
    const { subscribers } = service.dataSource;
    subscribers.push(subscriber);
    try {
      await work();
    } finally {
      subscribers.splice(subscribers.indexOf(subscriber), 1);
    }
  }
  interface Event {
    readonly queryRunner: QueryRunner;
  }
  /** By then the hook of Sagaz, which runs at the same time and waits for nothing, is done. */
  const afterTheHook = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('are seen by a statement of another subscriber that comes after them', async () => {
    const found: unknown[] = [];
    const beforeTransactionCommit = async ({ queryRunner }: Event): Promise<void> => {
      await afterTheHook();
      found.push(await queryRunner.query('SELECT type FROM sagaz.message'));
    };
    await beside({ beforeTransactionCommit }, () => placeAndPublish('a'));
    expect(found).toEqual([[{ type: 'order.placed' }]]);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('are dropped if another subscriber refuses the commit after them', async () => {
    const beforeTransactionCommit = async (): Promise<void> => {
      await afterTheHook();
      throw new Boom();
    };
    await beside({ beforeTransactionCommit }, async () => {
      expect(await errorOf(placeAndPublish('a'))).toBeInstanceOf(Boom);
    });
    await expectNothing();
  });

  it('give their error to that statement, and refuse the commit if it swallows it', async () => {
    const errors: unknown[] = [];
    const beforeTransactionCommit = async ({ queryRunner }: Event): Promise<void> => {
      await afterTheHook();
      errors.push(await errorOf(queryRunner.query('SELECT 1')));
    };
    await beside({ beforeTransactionCommit }, async () => {
      expect(await errorOf(placeAndPublish('refused'))).toMatchObject({
        code: 'SAGAZ_TRANSACTION_ABORTED',
      });
    });
    expect(errors).toEqual([expect.objectContaining({ code: '23514' })]);
    await expectNothing();
  });
});
