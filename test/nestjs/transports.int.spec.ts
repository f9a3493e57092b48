import { Controller, type INestApplication, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import {
  HandlerObservers,
  Idempotent,
  IdempotentSetupError,
  MissingMessageIdError,
  Outbox,
  connectSagaz,
} from '@sagaz/nestjs';
import {
  createDatabase,
  findServers,
  postgresServers,
  RABBITMQ,
  skipAbsent,
  type FoundServers,
  type TestDatabase,
} from '@sagaz/test-support';
import amqp from 'amqplib';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { Repository } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { KafkaStub } from './kafka-stub.js';
import { ErrorLog } from './message-bench.js';
import { Order, OrderPlaced } from './orders.js';

interface Item {
  readonly id: string;
}

let runs = 0;
let hangs: (run: number) => Promise<void> | null = () => null;
let fail: (run: number) => Error | null = () => null;

@Controller()
class Billing {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {}

  @Idempotent({ group: 'billing' })
  @EventPattern('legacy.placed')
  async placed(@Payload() { id }: Item): Promise<void> {
    runs += 1;
    await this.orders.insert({ id: `${id}-${runs}` });
    await this.outbox.publish(OrderPlaced, { id }, { key: id });
    const error = fail(runs);
    if (error !== null) throw error;
  }

  @Idempotent({ group: 'billing', timeout: '2s' })
  @EventPattern('legacy.slow')
  async slow(@Payload() { id }: Item): Promise<void> {
    runs += 1;
    const name = `${id}-${runs}`;
    await hangs(runs);
    await this.orders.insert({ id: name });
  }

  @Idempotent({ group: 'billing', timeout: '2s' })
  @EventPattern('legacy.loose')
  async loose(@Payload() _: Item): Promise<void> {
    runs += 1;
    this.orders.update({ id: 'held' }, { id: 'changed' }).catch(() => undefined);
  }

  @Idempotent({ group: 'billing', id: (_, payload) => (payload as Partial<Item>).id })
  @EventPattern('legacy.numbered')
  async numbered(@Payload() { id }: Item): Promise<void> {
    runs += 1;
    await this.orders.insert({ id });
  }
}

const server = postgresServers()[0]!;

describe('@Idempotent', () => {
  let db: TestDatabase;
  let seen: Observer;
  let log: ErrorLog;
  let app: INestApplication | null = null;
  let outcomes: string[];
  let watchers: (() => void)[];

  beforeAll(async () => {
    db = await createDatabase(server);
    seen = new Observer(db.url);
    await (await create()).close();
  });
  afterAll(async () => {
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    runs = 0;
    fail = () => null;
    hangs = () => null;
    outcomes = [];
    watchers = [];
    log = new ErrorLog();
    await seen.clear();
  });
  afterEach(async () => {
    await app?.close();
    app = null;
  });

  const create = async (controller: Type = Billing) => {
    const created = await NestFactory.create(
      appModule({ databases: [{ url: db.url }], controllers: [controller] }),
      { logger: log, abortOnError: false },
    );
    created.get(HandlerObservers).add({
      ended: () => undefined,
      foreignEnded: ({ outcome }) => {
        outcomes.push(outcome);
        for (const watcher of watchers.splice(0)) watcher();
      },
    });
    return created;
  };
  const ended = async (count: number) => {
    while (outcomes.length < count) {
      await new Promise<void>((resolve) => watchers.push(resolve));
    }
    return outcomes;
  };

  describe('on RabbitMQ', () => {
    let found: FoundServers;
    let url: string;
    let rabbit: amqp.ChannelModel | null = null;
    let queue: string;

    beforeAll(async () => {
      found = await findServers(RABBITMQ);
      [url = ''] = found.urls;
      if (url !== '') rabbit = await amqp.connect(url);
    }, 120_000);
    afterAll(async () => {
      await rabbit?.close();
      await found.stop();
    });
    beforeEach(({ skip }) => {
      if (rabbit === null)
        skipAbsent(skip, found.absent[0]?.reason ?? `${RABBITMQ.variable} is empty`);
      queue = `sagaz-test-${randomUUID()}`;
    });

    const listen = async (noAck: boolean) => {
      const created = await create();
      connectSagaz(created);
      created.connectMicroservice(
        {
          transport: Transport.RMQ,
          options: {
            urls: [url],
            queue,
            noAck,
            prefetchCount: 10,
            queueOptions: { durable: false, expires: 60_000 },
          },
        },
        { inheritAppConfig: true },
      );
      app = created;
      await created.init();
      await created.startAllMicroservices();
    };
    const send = async (
      pattern: string,
      data: Item,
      properties: Partial<amqp.Options.Publish> = {},
    ) => {
      const channel = await rabbit!.createConfirmChannel();
      channel.sendToQueue(queue, Buffer.from(JSON.stringify({ pattern, data })), properties);
      await channel.waitForConfirms();
      await channel.close();
    };
    const left = async () => {
      await app?.close();
      app = null;
      const channel = await rabbit!.createChannel();
      const { messageCount } = await channel.checkQueue(queue);
      await channel.deleteQueue(queue);
      await channel.close();
      return messageCount;
    };

    it('has no second effect for a message that comes again, and acknowledges both', async () => {
      await listen(false);
      await send('legacy.placed', { id: 'a' }, { messageId: 'm-1' });
      await send('legacy.placed', { id: 'a' }, { messageId: 'm-1' });
      await send('legacy.placed', { id: 'a' }, { headers: { 'cloudEvents:id': 'm-2' } });
      expect([...(await ended(3))].sort()).toEqual(['committed', 'committed', 'duplicate']);
      expect(await seen.orders()).toHaveLength(2);
      expect(await seen.outbox()).toEqual(['order.placed', 'order.placed']);
      expect(await left()).toBe(0);
    });

    it('leaves nothing of a failure behind, and gets the message again', async () => {
      fail = (run) => (run === 1 ? new Error('not yet') : null);
      await listen(false);
      await send('legacy.placed', { id: 'b' }, { messageId: 'm-3' });
      expect(await ended(2)).toEqual(['failed', 'committed']);
      expect(await seen.orders()).toEqual(['b-2']);
      expect(await left()).toBe(0);
    });

    it('takes its transaction from a handler that hangs, and gets the message again', async () => {
      let goOn: () => void = () => undefined;
      hangs = (run) => (run === 1 ? new Promise((resolve) => (goOn = resolve)) : null);
      await listen(false);
      await send('legacy.slow', { id: 'h' }, { messageId: 'm-4' });
      expect(await ended(2)).toEqual(['failed', 'committed']);
      goOn();
      expect(await seen.orders()).toEqual(['h-2']);
      expect(await left()).toBe(0);
    });

    it('tells ids of two senders apart', async () => {
      await listen(false);
      await send('legacy.placed', { id: 'c' }, { messageId: '1', appId: 'shop' });
      await send('legacy.placed', { id: 'd' }, { messageId: '1', appId: 'kiosk' });
      expect(await ended(2)).toEqual(['committed', 'committed']);
      expect(await left()).toBe(0);
    });

    it('takes the id from where it is told', async () => {
      await listen(false);
      await send('legacy.numbered', { id: 'e' });
      await send('legacy.numbered', { id: 'e' });
      expect([...(await ended(2))].sort()).toEqual(['committed', 'duplicate']);
      expect(await left()).toBe(0);
    });

    it('knows a message by an id that no index could hold', async () => {
      await listen(false);
      const id = Array.from({ length: 200 }, () => randomUUID()).join();
      await send('legacy.placed', { id: 'g' }, { headers: { 'cloudEvents:id': id } });
      await send('legacy.placed', { id: 'g' }, { headers: { 'cloudEvents:id': id } });
      expect([...(await ended(2))].sort()).toEqual(['committed', 'duplicate']);
      expect(await left()).toBe(0);
    });

    it('refuses to start where messages are acknowledged before they are handled', async () => {
      await expect(listen(true)).rejects.toThrow(/Give its options noAck: false/);
    });

    it('handles nothing without an id, and does not lose it', async () => {
      await listen(false);
      await send('legacy.placed', { id: 'f' });
      while (!log.errors.some((line) => line.includes('messageId'))) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(runs).toBe(0);
      expect(await left()).toBe(1);
    });
  });

  describe('on Kafka', () => {
    const listen = async () => {
      const kafka = new KafkaStub();
      app = await create();
      app.connectMicroservice({ strategy: kafka }, { inheritAppConfig: true });
      await app.startAllMicroservices();
      await app.init();
      return kafka;
    };
    const event = { ce_id: Buffer.from('k-1'), ce_source: Buffer.from('shop') };

    it('has no second effect for a message that comes again', async () => {
      const kafka = await listen();
      await kafka.deliver('legacy.placed', { id: 'g' }, event);
      await kafka.deliver('legacy.placed', { id: 'g' }, event);
      expect(outcomes).toEqual(['committed', 'duplicate']);
      expect(await seen.orders()).toEqual(['g-1']);
      const [row] = await seen.rows("SELECT source, id FROM sagaz.inbox WHERE id = 'k-1'");
      expect(row).toEqual({ source: 'shop', id: 'k-1' });
    });

    it('throws a failure on, so that the client delivers the message again', async () => {
      fail = (run) => (run === 1 ? new Error('not yet') : null);
      const kafka = await listen();
      const other = { ...event, ce_id: Buffer.from('k-2') };
      await expect(kafka.deliver('legacy.placed', { id: 'h' }, other)).rejects.toBeDefined();
      expect(await seen.orders()).toEqual([]);
      await kafka.deliver('legacy.placed', { id: 'h' }, other);
      expect(await seen.orders()).toEqual(['h-2']);
    });

    it('takes its transaction from a handler that did not await a statement which hangs', async () => {
      const kafka = await listen();
      const holder = new pg.Client({ connectionString: db.url });
      await holder.connect();
      await holder.query("INSERT INTO orders (id) VALUES ('held')");
      await holder.query('BEGIN');
      await holder.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE");
      try {
        const message = { ...event, ce_id: Buffer.from('k-3') };
        await expect(kafka.deliver('legacy.loose', { id: 'l' }, message)).rejects.toBeDefined();
        expect(outcomes).toEqual(['failed']);
        // Its time limit ended it, and not the limit of COMMIT, which comes later.
        expect(log.errors.join()).not.toContain('COMMIT waited');
      } finally {
        await holder.end();
      }
      expect(await seen.orders()).toEqual(['held']);
    });

    it('refuses a message without an id', async () => {
      const kafka = await listen();
      await expect(kafka.deliver('legacy.placed', { id: 'i' }, {})).rejects.toBeDefined();
      expect(log.errors.join()).toContain(MissingMessageIdError.name);
      expect(runs).toBe(0);
    });
  });

  it('is refused beside @IdempotentHandler', async () => {
    const { IdempotentHandler, defineEvent } = await import('@sagaz/nestjs');
    @Controller()
    class Both {
      @Idempotent()
      @IdempotentHandler(defineEvent<Item>()('stock.counted'))
      counted(): void {
        // Never called.
      }
    }
    app = await create(Both);
    await expect(app.init()).rejects.toBeInstanceOf(IdempotentSetupError);
  });
});
