import type { INestApplication } from '@nestjs/common';
import { StatementsUnderWayError } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type pg from 'pg';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { heldOrder } from './held-order.js';
import { Order } from './orders.js';
import { Boom, OrderService } from './service.js';

const UPDATE = /^UPDATE "orders" SET "id" = \$1 WHERE "id" = \$2$/;

describe('a transaction that ends beside statements that are still under way', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let service: OrderService;
  let seen: Observer;
  let holder: pg.Client;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    app = await startService({
      databases: [{ url: db.url, poolSize: 7 }],
      providers: [OrderService],
    });
    service = app.get(OrderService);
    holder = await heldOrder(db.url);
  });
  afterAll(async () => {
    await holder.end();
    await app.close();
    await seen.close();
    await db.drop();
  });

  /** Sends a statement that waits for the lock of `holder`; resolves when it waits. */
  const hang = async (
    sent: (statement: Promise<unknown>) => void = () => undefined,
  ): Promise<void> => {
    const [session] = await service.orders.query<{ pid: number }[]>(
      'SELECT pg_backend_pid() AS pid',
    );
    const statement = service.orders.update({ id: 'held' }, { id: 'changed' });
    statement.catch(() => undefined);
    sent(statement);
    await expect
      .poll(() =>
        seen.rows("SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", [
          session?.pid,
        ]),
      )
      .toHaveLength(1);
  };
  const hangAndFail = async (): Promise<never> => {
    await hang();
    throw new Boom();
  };
  const waiting = (): Promise<unknown[]> =>
    seen.rows(
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%'`,
    );
  const errorOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'it was committed',
      (error: unknown) => error,
    );

  it('is rolled back after a limit, with an error that names the statements', async () => {
    const afterwards: unknown[] = [];
    // All of them wait at the same time.
    const [commit, commitWithMessages, nested, sibling, savepoint, caught, failed] =
      await Promise.all([
        errorOf(
          service.inTransaction(async () => {
            await service.insert('commit');
            await hang();
          }),
        ),
        errorOf(
          service.inTransaction(async () => {
            await service.insert('message');
            await service.publish('message');
            await hang();
          }),
        ),
        errorOf(
          service.inTransaction(async () => {
            await expect(service.inSavepoint(hangAndFail)).rejects.toThrow(Boom);
            afterwards.push(await errorOf(service.insert('nested')));
          }),
        ),
        errorOf(
          service.inTransaction(async () => {
            let sent: (statement: Promise<unknown>) => void = () => undefined;
            const statement = new Promise<unknown>((resolve) => (sent = resolve));
            await Promise.all([
              service.inSavepoint(async () => {
                await service.insert('sibling');
                await hang(sent);
                throw new Boom();
              }),
              statement,
            ]);
          }),
        ),
        errorOf(
          service.inTransaction(async () => {
            await hang();
            await service.inSavepoint(() => service.insert('savepoint'));
          }),
        ),
        errorOf(
          service.inTransaction(async () => {
            await service.dataSource.transaction(hangAndFail).catch(() => undefined);
          }),
        ),
        // ROLLBACK does not wait as long, because the effect of the statement is not wanted any more.
        errorOf(service.inTransaction(hangAndFail)),
      ]);
    expect(failed).toBeInstanceOf(Boom);
    for (const [error, ending] of [
      [commit, 'COMMIT'],
      [commitWithMessages, 'COMMIT'],
      [afterwards[0], 'ROLLBACK TO SAVEPOINT typeorm_1'],
      [nested, 'ROLLBACK TO SAVEPOINT typeorm_1'],
      [sibling, 'ROLLBACK TO SAVEPOINT typeorm_1'],
      [savepoint, 'SAVEPOINT typeorm_1'],
      [caught, 'ROLLBACK TO SAVEPOINT typeorm_1'],
    ] as const) {
      expect(error).toBeInstanceOf(StatementsUnderWayError);
      expect(error).toMatchObject({ ending, statements: [expect.stringMatching(UPDATE)] });
    }
    expect((commit as Error).message).toMatch(
      /^A transaction of the connection "default" was rolled back and its connection closed: COMMIT waited 15000 ms for statements of the same transaction that were still under way: UPDATE "orders"/,
    );
    // The sessions were ended at the server, and every connection of the pool works.
    await expect.poll(waiting).toEqual([]);
    await Promise.all(
      Array.from({ length: 7 }, (_, n) => service.inTransaction(() => service.insert(`ok${n}`))),
    );
    expect(await seen.orders()).toEqual(['held', 'ok0', 'ok1', 'ok2', 'ok3', 'ok4', 'ok5', 'ok6']);
    expect(await seen.outbox()).toEqual([]);
  }, 40_000);

  it('waits for those that end in time', async () => {
    await holder.query('ROLLBACK');
    await holder.query("DELETE FROM orders WHERE id LIKE 'ok%'");
    await holder.query('BEGIN');
    await holder.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE");
    let free: () => void = () => undefined;
    const both = new Promise<void>((resolve) => (free = resolve));
    let hanging = 0;
    const hangs = async (): Promise<void> => {
      await hang();
      hanging += 1;
      if (hanging === 2) free();
    };
    const committed = service.inTransaction(async () => {
      await service.insert('a');
      await service.publish('a');
      await hangs();
    });
    const rolledBack = service.inTransaction(async () => {
      const failed = service.inSavepoint(async () => {
        await hangs();
        throw new Boom();
      });
      await expect(failed).rejects.toThrow(Boom);
      await service.insert('b');
    });
    await both;
    await holder.query('COMMIT');
    await committed;
    await rolledBack;
    expect(await seen.orders()).toEqual(['a', 'b', 'changed']);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('closes a stream of rows that is unread, since statements wait behind it', async () => {
    await seen.clear();
    let rows: Readable | undefined;
    // Behind an open stream, COMMIT would wait for the statement in vain, and the transaction would fail.
    await service.inTransaction(async () => {
      const runner = service.dataSource.createQueryRunner();
      rows = await runner.stream('SELECT g FROM generate_series(1, 100000) AS g');
      for await (const row of rows.iterator({ destroyOnReturn: false })) {
        expect(row).toEqual({ g: 1 });
        break;
      }
      runner.manager.insert(Order, { id: 'behind' }).catch(() => undefined);
    });
    expect(rows?.destroyed).toBe(true);
    expect(await seen.orders()).toEqual(['behind']);
  });
});
