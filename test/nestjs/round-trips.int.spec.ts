import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { defineEvent, IdempotentHandler } from '@sagaz/nestjs';
import {
  CountingProxy,
  createDatabase,
  postgresServers,
  type TestDatabase,
} from '@sagaz/test-support';
import { DataSource, Repository } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { MessageBench } from './message-bench.js';
import { Order } from './orders.js';
import { OrderService } from './service.js';

const Placed = defineEvent<{ readonly id: string }>()('shop.placed');

@Controller()
@Injectable()
class Handlers {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  @IdempotentHandler(Placed)
  async placed(@Payload() { id }: { readonly id: string }): Promise<void> {
    await this.orders.insert({ id });
  }
}

describe('round trips between an application and its database', () => {
  let db: TestDatabase;
  let proxy: CountingProxy;
  let app: INestApplication;
  let service: OrderService;
  let bench: MessageBench;
  let seen: Observer;
  /** A DataSource without Sagaz. */
  let bare: DataSource;
  let last = 0;
  const next = (): string => {
    last += 1;
    return `o${String(last)}`;
  };

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    proxy = await CountingProxy.before(db.url);
    bench = new MessageBench();
    app = await startService({
      // One connection more than is used: the answer to whether it keeps prepared statements is known.
      databases: [{ url: proxy.url, poolSize: 2 }],
      controllers: [Handlers],
      providers: [OrderService],
      sagaz: { broker: bench.driver, roles: { engine: false, relay: false, consume: true } },
    });
    bench.watch(app);
    service = app.get(OrderService);
    seen = new Observer(db.url);
    bare = await new DataSource({ type: 'postgres', url: proxy.url, poolSize: 1 }).initialize();
    await bareTransaction();
    for (let n = 0; n < 3; n += 1) {
      await transaction(1);
      await transaction(3);
      await handle();
    }
  });
  afterAll(async () => {
    await bare.destroy();
    await app.close();
    await seen.close();
    await proxy.close();
    await db.drop();
  });

  const bareTransaction = (): Promise<unknown> =>
    bare.transaction((manager) => manager.query('INSERT INTO orders (id) VALUES ($1)', [next()]));
  async function transaction(messages: number): Promise<void> {
    const id = next();
    await service.inTransaction(async () => {
      await service.insert(id);
      for (let n = 0; n < messages; n += 1) await service.publish(id);
    });
  }
  async function handle(): Promise<void> {
    const { id } = await bench.send({ type: 'shop.placed', payload: { id: next() } });
    expect((await bench.ends(id)).map(({ outcome }) => outcome.kind)).toEqual(['committed']);
  }

  it.each([1, 3])('publishing %i messages in a transaction adds none', async (messages) => {
    const plain = await proxy.during(() => transaction(0));
    expect(await proxy.during(() => transaction(messages))).toBe(plain);
    expect(plain).toBe((await proxy.during(bareTransaction)) - 1);
  });

  it('a handler behind the inbox adds none to a transaction without Sagaz', async () => {
    expect(await proxy.during(handle)).toBe(await proxy.during(bareTransaction));
  });

  it('a transaction that publishes has the messages and the rows, or neither', async () => {
    await seen.clear();
    await transaction(3);
    await expect(
      service.inTransaction(async () => {
        await service.insert('lost');
        await service.publish('lost');
        await service.orders.query('SELECT 1/0');
      }),
    ).rejects.toThrow();
    expect(await seen.orders()).toHaveLength(1);
    expect(await seen.outbox()).toHaveLength(3);
  });
});
