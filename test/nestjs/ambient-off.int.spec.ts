import { TransactionHost } from '@nestjs-cls/transactional';
import { Controller, type INestApplication } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import {
  defineEvent,
  IdempotentHandler,
  Outbox,
  recordMessage,
  TransactionManager,
  type SagazTypeOrmAdapter,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { EntityManager, Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { MessageBench } from './message-bench.js';
import { Order, OrderPlaced, OrderTouched } from './orders.js';
import { Boom, OrderService } from './service.js';

const Counted = defineEvent<{ id: string }>()('shelf.counted');

@Controller()
class Shelf {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {}

  @IdempotentHandler(Counted, { retry: { attempts: 1 } })
  async counted(
    @Payload() { id }: { id: string },
    @TransactionManager() manager: EntityManager,
  ): Promise<void> {
    await this.orders.insert({ id: `${id}-repository` });
    await manager.insert(Order, { id: `${id}-manager` });
    await this.outbox.publish(OrderPlaced, { id });
    if (id === 'failing') throw new Boom();
  }
}

describe("a DataSource with ambient: 'off'", () => {
  let db: TestDatabase;
  let app: INestApplication;
  let service: OrderService;
  let host: TransactionHost<SagazTypeOrmAdapter>;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    app = await startService({
      databases: [{ url: db.url, poolSize: 3, ambient: 'off' }],
      providers: [OrderService],
      controllers: [Shelf],
      sagaz: { broker: bench.driver, roles: { engine: false, relay: false, consume: true } },
    });
    bench.watch(app);
    service = app.get(OrderService);
    host = app.get(TransactionHost);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  it('leaves repositories outside of the transaction, with the explicit manager and messages in it', async () => {
    await expect(
      service.inTransaction(async () => {
        await service.insert('repository');
        await service.dataSource.manager.insert(Order, { id: 'shared manager' });
        await host.tx.insert(Order, { id: 'manager' });
        await host.tx.getRepository(Order).insert({ id: 'its repository' });
        await service.publish('a');
        expect(await service.orders.findOneBy({ id: 'manager' }), 'not to be seen').toBeNull();
        throw new Boom();
      }),
    ).rejects.toThrow(Boom);
    expect(await seen.orders()).toEqual(['repository', 'shared manager']);
    expect(await seen.outbox()).toEqual([]);
  });

  it('commits what the explicit manager wrote together with what was published', async () => {
    await service.inTransaction(async () => {
      await host.tx.insert(Order, { id: 'manager' });
      await service.publish('a');
      await service.outbox.publish(OrderTouched, { id: 'a' }, { manager: host.tx });
      expect(await seen.orders()).toEqual([]);
    });
    expect(await seen.orders()).toEqual(['manager']);
    expect(await seen.outbox()).toEqual(['order.placed', 'order.touched']);
  });

  it('gives outbox.transaction a manager that joins', async () => {
    await expect(
      service.outbox.transaction(async (manager) => {
        await manager.insert(Order, { id: 'manager' });
        await service.insert('repository');
        throw new Boom();
      }),
    ).rejects.toThrow(Boom);
    expect(await seen.orders()).toEqual(['repository']);
  });

  it('sends what an entity recorded with the save that took it, wherever that was', async () => {
    await expect(
      service.inTransaction(async () => {
        await service.orders.save(Order.place('repository'));
        await host.tx.save(Order.place('manager'));
        throw new Boom();
      }),
    ).rejects.toThrow(Boom);
    expect(await seen.orders()).toEqual(['repository']);
    expect(await seen.outbox()).toEqual(['order.placed']);
    const unsaved = new Order();
    unsaved.id = 'unsaved';
    await expect(
      service.inTransaction(async () => {
        recordMessage(unsaved, OrderTouched, { id: 'unsaved' });
      }),
    ).rejects.toMatchObject({ code: 'SAGAZ_UNSAVED_ENTITY_MESSAGES' });
  });

  it('rolls back in a failing handler what its manager wrote, and not what repositories did', async () => {
    expect(await bench.deliver({ type: 'shelf.counted', payload: { id: 'fine' } })).toEqual({
      kind: 'committed',
    });
    const failed = await bench.deliver({ type: 'shelf.counted', payload: { id: 'failing' } });
    expect(failed.kind).toBe('buried');
    expect(await seen.orders()).toEqual(['failing-repository', 'fine-manager', 'fine-repository']);
    expect(await seen.outbox()).toEqual(['order.placed']);
  });
});
