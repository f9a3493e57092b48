import { Controller, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { Idempotent, Outbox, WorkObservers } from '@sagaz/nestjs';
import { SagazHealth, SagazHealthModule } from '@sagaz/nestjs/health';
import { postgres } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { Repository } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { createApplicationRole, dropApplicationRole } from './application-role.js';
import { KafkaStub } from './kafka-stub.js';
import { Order, OrderPlaced } from './orders.js';

let runs = 0;

@Controller()
class Billing {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {}

  @Idempotent()
  @EventPattern('legacy.placed')
  async placed(@Payload() { sql }: { readonly sql?: string }): Promise<void> {
    runs += 1;
    if (sql !== undefined) await this.orders.query(sql);
    await this.outbox.publish(OrderPlaced, { id: 'a' }, { key: 'a' });
  }
}

describe('a store that refuses its statements in the transaction of an @Idempotent method', () => {
  const role = `idempotent_${randomUUID().slice(0, 8)}`;
  const kafka = new KafkaStub();
  const counted: string[] = [];
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    const url = await createApplicationRole(seen, db.url, role);
    const module = appModule({
      databases: [{ url }],
      controllers: [Billing],
      imports: [SagazHealthModule],
      sagaz: { store: postgres({ url: db.url }) },
    });
    app = await NestFactory.create(module, { logger: false });
    app.get(WorkObservers).add({
      inboxFailed: ({ connection, failure }) => counted.push(`${connection} ${failure}`),
    });
    app.connectMicroservice({ strategy: kafka }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await dropApplicationRole(seen, role);
    await seen.close();
    await db.drop();
  });
  beforeEach(() => {
    runs = 0;
    counted.length = 0;
  });
  afterEach(async () => {
    await expect.poll(() => deliver().then(() => 'done', String), { timeout: 30_000 }).toBe('done');
    expect(await health()).toEqual({ status: 'up' });
  });

  const health = async (): Promise<unknown> =>
    (await app.get(SagazHealth).work())['idempotent handlers'];
  const deliver = (payload: object = {}): Promise<void> =>
    kafka.deliver('legacy.placed', payload, { ce_id: Buffer.from(randomUUID()) });
  const reconnect = (): Promise<unknown> =>
    seen.rows('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1', [
      role,
    ]);

  it.each([
    {
      problem: 'a grant is missing',
      refuse: () => seen.rows(`REVOKE INSERT ON sagaz.inbox FROM ${role}`),
      restore: () => seen.rows(`GRANT INSERT ON sagaz.inbox TO ${role}`),
      says: /permission denied for table inbox/,
    },
    {
      problem: 'a table is missing',
      refuse: () => seen.rows('ALTER TABLE sagaz.inbox RENAME TO inbox_before'),
      restore: () => seen.rows('ALTER TABLE sagaz.inbox_before RENAME TO inbox'),
      says: /relation "sagaz\.inbox" does not exist/,
    },
    {
      problem: 'the server is read-only',
      refuse: async () => {
        await seen.rows(`ALTER ROLE ${role} SET default_transaction_read_only = on`);
        await reconnect();
      },
      restore: async () => {
        await seen.rows(`ALTER ROLE ${role} RESET default_transaction_read_only`);
        await reconnect();
      },
      says: /cannot execute INSERT in a read-only transaction/,
    },
  ])(
    'makes the process unready and is asked seldom, because $problem',
    async ({ refuse, restore, says }) => {
      await refuse();
      try {
        // A connection that was ended may fail first.
        await expect
          .poll(
            async () => {
              await expect(deliver()).rejects.toBeDefined();
              return health();
            },
            { timeout: 20_000 },
          )
          .toMatchObject({ status: 'down', message: expect.stringMatching(says) });
        expect(await health()).toMatchObject({
          message: expect.stringMatching(/^Handling messages in Billing\.placed fails: /),
        });
        for (let n = 0; n < 50; n += 1) await expect(deliver()).rejects.toBeDefined();
        expect(counted.length).toBeLessThan(10);
        expect(new Set(counted)).toEqual(new Set(['default refused']));
        expect(runs).toBe(0);
      } finally {
        await restore();
      }
    },
    60_000,
  );

  it.each([
    ['works on a missing table of its own', 'SELECT FROM nowhere'],
    ['makes its transaction read-only', 'SET TRANSACTION READ ONLY'],
  ])('is not blamed when the method itself %s', async (_, sql) => {
    for (let n = 1; n <= 3; n += 1) {
      await expect(deliver({ sql })).rejects.toBeDefined();
      expect(runs).toBe(n);
    }
    expect(await health()).toEqual({ status: 'up' });
    expect(counted).toEqual([]);
  });
});
