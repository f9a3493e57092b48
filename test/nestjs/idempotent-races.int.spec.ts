import { Controller, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { HandlerObservers, Idempotent, Outbox } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { DataSource, Repository } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { KafkaStub } from './kafka-stub.js';
import { ErrorLog } from './message-bench.js';
import { Order, OrderPlaced } from './orders.js';

interface Item {
  readonly id: string;
}

let runs = 0;
let conflictOf: (run: number) => Promise<unknown> = () => Promise.resolve(null);
let payloads: Item[] = [];

@Controller()
class Billing {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {}

  @Idempotent({ group: 'billing' })
  @EventPattern('legacy.contended')
  async contended(@Payload() item: Item): Promise<void> {
    runs += 1;
    payloads.push({ ...item });
    // The next run must not see what this one leaves in the payload.
    Object.assign(item, { id: `${item.id}-changed` });
    await this.orders.insert({ id: `${item.id}-${runs}` });
    await this.outbox.publish(OrderPlaced, { id: item.id }, { key: item.id });
    const conflict = await conflictOf(runs);
    if (conflict instanceof Error) throw conflict;
  }

  @Idempotent({ group: 'billing', id: (_, payload) => (payload as Partial<Item>).id })
  @EventPattern('legacy.numbered')
  async numbered(@Payload() { id }: Item): Promise<void> {
    runs += 1;
    await this.orders.insert({ id });
  }
}

describe('a method with @Idempotent', () => {
  let db: TestDatabase;
  let seen: Observer;
  let log: ErrorLog;
  let app: INestApplication | null = null;
  let outcomes: string[];
  const event = { ce_source: Buffer.from('shop') };

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await seen.close();
    await db.drop();
  });
  beforeEach(() => {
    runs = 0;
    conflictOf = () => Promise.resolve(null);
    payloads = [];
    outcomes = [];
    log = new ErrorLog();
  });
  afterEach(async () => {
    await app?.close();
    app = null;
    await seen.clear();
  });

  const listen = async () => {
    const kafka = new KafkaStub();
    app = await NestFactory.create(
      appModule({ databases: [{ url: db.url }], controllers: [Billing] }),
      { logger: log, abortOnError: false },
    );
    app.get(HandlerObservers).add({
      ended: () => undefined,
      foreignEnded: ({ outcome }) => void outcomes.push(outcome),
    });
    app.connectMicroservice({ strategy: kafka }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    await app.init();
    return kafka;
  };

  describe('whose transaction loses a race', () => {
    /** An error that the database itself reports on the connection of the handler's transaction. */
    const losing = (sqlState: string, until: number) => (run: number) =>
      run > until
        ? Promise.resolve(null)
        : app!
            .get(DataSource)
            .query(
              `DO $$ BEGIN RAISE EXCEPTION 'a race was lost' USING ERRCODE = '${sqlState}'; END $$`,
            )
            .catch((error: unknown) => error);

    it.each(['40001', '40P01', '55P03'])(
      'runs again at once, with the payload as it came: %s',
      async (sqlState) => {
        const kafka = await listen();
        conflictOf = losing(sqlState, 2);
        const id = Buffer.from(`race-${sqlState}`);
        await kafka.deliver('legacy.contended', { id: 'r' }, { ...event, ce_id: id });
        expect(outcomes).toEqual(['committed']);
        expect(payloads).toEqual([{ id: 'r' }, { id: 'r' }, { id: 'r' }]);
        expect(await seen.orders()).toEqual(['r-changed-3']);
        expect(await seen.outbox()).toEqual(['order.placed']);
      },
    );

    it('runs no more than three times for one delivery, and commits with a later one', async () => {
      const kafka = await listen();
      conflictOf = losing('40001', 4);
      const other = { ...event, ce_id: Buffer.from('race-long') };
      await expect(kafka.deliver('legacy.contended', { id: 's' }, other)).rejects.toBeDefined();
      expect(runs).toBe(3);
      expect(await seen.orders()).toEqual([]);
      await kafka.deliver('legacy.contended', { id: 's' }, other);
      expect(outcomes).toEqual(['failed', 'committed']);
      expect(await seen.orders()).toEqual(['s-changed-5']);
    });

    it('fails where another database reported the conflict', async () => {
      const kafka = await listen();
      conflictOf = async () =>
        Object.assign(new Error('elsewhere'), { code: '40001', routine: 'CheckSerializable' });
      const other = { ...event, ce_id: Buffer.from('race-elsewhere') };
      await expect(kafka.deliver('legacy.contended', { id: 't' }, other)).rejects.toBeDefined();
      expect(runs).toBe(1);
    });
  });

  it('takes an id of 500 characters from where it is told, and refuses a longer one', async () => {
    const kafka = await listen();
    await kafka.deliver('legacy.numbered', { id: 'n'.repeat(500) }, {});
    expect(outcomes).toEqual(['committed']);
    await expect(
      kafka.deliver('legacy.numbered', { id: 'n'.repeat(501) }, {}),
    ).rejects.toBeDefined();
    expect(runs).toBe(1);
    expect(log.errors.join()).toMatch(
      /InvalidMessageIdError.*Billing\.numbered returned a text of 501 characters.*digest/s,
    );
  });
});
