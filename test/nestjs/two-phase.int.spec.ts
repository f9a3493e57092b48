import type { INestApplicationContext } from '@nestjs/common';
import { RawTransactionControlError, TwoPhaseCommitError } from '@sagaz/nestjs';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { Order, OrderPlaced } from './orders.js';
import { OrderService } from './service.js';

/** Servers refuse PREPARE TRANSACTION unless they are told to allow it. */
describe('a two-phase commit', () => {
  let server: EmbeddedPostgres;
  let app: INestApplicationContext;
  let service: OrderService;
  let seen: Observer;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ flags: { max_prepared_transactions: 5 } });
    app = await startApp({ databases: [{ url: server.url }], providers: [OrderService] });
    service = app.get(OrderService);
    seen = new Observer(server.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await server.stop();
  });
  beforeEach(() => seen.clear());

  const prepared = async (): Promise<string[]> =>
    (await seen.rows<{ gid: string }>('SELECT gid FROM pg_prepared_xacts')).map(({ gid }) => gid);

  it.each([
    `PREPARE TRANSACTION 'mine'`,
    `\n/* for the other database */ -- as agreed\n  prepare  transaction 'mine'`,
  ])('of what a message has joined is refused before it is prepared: %j', async (sql) => {
    await expect(
      service.inTransaction(async () => {
        await service.insert('a');
        await service.publish('a');
        await service.orders.query(sql);
      }),
    ).rejects.toThrow(TwoPhaseCommitError);
    expect(await prepared()).toEqual([]);
    expect([await seen.orders(), await seen.outbox()]).toEqual([[], []]);
  });

  it('that was caught leaves an ordinary transaction', async () => {
    await service.inTransaction(async () => {
      await service.publish('a');
      await service.orders.query(`PREPARE TRANSACTION 'mine'`).catch(() => 'caught');
    });
    expect(await seen.outbox()).toEqual(['order.placed']);
  });

  it('past TypeORM is noticed at the commit, and no message is in it', async () => {
    await expect(
      service.dataSource.transaction(async (manager) => {
        await service.outbox.publish(OrderPlaced, { id: 'a' }, { manager });
        const client: unknown = await manager.queryRunner!.connect();
        await (client as { query(sql: string): Promise<unknown> }).query(
          `PREPARE TRANSACTION 'past'`,
        );
      }),
    ).rejects.toThrow(RawTransactionControlError);
    expect(await prepared()).toEqual(['past']);
    await seen.rows(`COMMIT PREPARED 'past'`);
    expect(await seen.outbox()).toEqual([]);
  });

  it('of what Sagaz has no part in is the application’s own business', async () => {
    // Its message waits, and it is none of the transaction's.
    const waiting = Order.place('elsewhere');
    const runner = service.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Order, { id: 'own' });
    await runner.query(`PREPARE TRANSACTION 'own'`);
    await runner.commitTransaction();
    await runner.release();
    await seen.rows(`COMMIT PREPARED 'own'`);
    expect(await seen.orders()).toEqual(['own']);
    await service.orders.save(waiting);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });
});
