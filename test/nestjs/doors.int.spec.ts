import { Propagation, Transactional } from '@nestjs-cls/transactional';
import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import {
  IdempotentHandler,
  OutsideTransactionError,
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  UnfinishedSavepointError,
  defineEvent,
} from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { CustomOrders, Doors, SharedOrders } from './doors.js';
import { MessageBench } from './message-bench.js';
import { Order } from './orders.js';
import { Boom, OrderService } from './service.js';

const Opened = defineEvent<{ fail: boolean }>()('doors.opened');

async function openAll(doors: Doors): Promise<void> {
  for (const [name, door] of Object.entries(doors.all)) await door(name);
}

@Saga({ name: 'open-doors' })
@Injectable()
class OpenDoors extends SagaOf<object> {
  constructor(private readonly doors: Doors) {
    super();
  }

  @SagaStep({ transactional: true, retry: { attempts: 1 } })
  async open(): Promise<void> {
    await openAll(this.doors);
    throw new Boom();
  }
}

@Controller()
class DoorController {
  constructor(private readonly doors: Doors) {}

  @IdempotentHandler(Opened, { retry: { attempts: 1 } })
  async opened(@Payload() { fail }: { fail: boolean }): Promise<void> {
    await openAll(this.doors);
    if (fail) throw new Boom();
  }
}

@Injectable()
class Outside {
  @Transactional(Propagation.NotSupported)
  async run<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

describeEachPostgres('the doors of TypeORM', (server) => {
  let db: TestDatabase;
  let app: INestApplication;
  let service: OrderService;
  let doors: Doors;
  let names: readonly string[];
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await startService({
      databases: [{ url: db.url, poolSize: 3 }],
      providers: [OrderService, CustomOrders, SharedOrders, Doors, OpenDoors, Outside],
      controllers: [DoorController],
      sagaz: { broker: bench.driver, roles: { engine: true, relay: false, consume: true } },
    });
    bench.watch(app);
    service = app.get(OrderService);
    doors = app.get(Doors);
    names = Object.keys(doors.all).sort();
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  it('all lead into @Transactional(): its commit keeps everything, and each saw the others', async () => {
    await service.inTransaction(async () => {
      await openAll(doors);
      expect(new Set(await doors.count())).toEqual(new Set([names.length]));
      expect(await seen.orders(), 'nobody else sees anything yet').toEqual([]);
    });
    expect(await seen.orders()).toEqual(names);
  });

  it('all lead into @Transactional(): its rollback leaves nothing', async () => {
    for (const [name, door] of Object.entries(doors.all)) {
      await expect(
        service.inTransaction(async () => {
          await door(name);
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      expect(await seen.orders(), name).toEqual([]);
    }
  });

  it('all lead into a savepoint, and out of it again', async () => {
    await service.inTransaction(async () => {
      await expect(
        service.inSavepoint(async () => {
          await openAll(doors);
          throw new Boom();
        }),
      ).rejects.toThrow(Boom);
      await service.insert('after');
    });
    expect(await seen.orders()).toEqual(['after']);
  });

  it('all lead into a transactional step', async () => {
    const handle = await app.get(Sagas).start(OpenDoors, {});
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    expect(await seen.orders()).toEqual([]);
  });

  it('all lead into the transaction of a handler', async () => {
    const failed = await bench.deliver({ type: 'doors.opened', payload: { fail: true } });
    expect(failed.kind).not.toBe('committed');
    expect(await seen.orders()).toEqual([]);
    const fine = await bench.deliver({ type: 'doors.opened', payload: { fail: false } });
    expect(fine.kind).toBe('committed');
    expect(await seen.orders()).toEqual(names);
  });

  it('all stand by themselves where there is no transaction, or where it was left', async () => {
    await openAll(doors);
    expect(await seen.orders()).toEqual(names);
    await seen.clear();
    await expect(
      service.inTransaction(async () => {
        await app.get(Outside).run(() => openAll(doors));
        throw new Boom();
      }),
    ).rejects.toThrow(Boom);
    expect(await seen.orders()).toEqual(names);
  });

  it('take no second connection, so that many transactions do not wait for each other', async () => {
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        service.inTransaction(() =>
          Promise.all([
            doors.all['a custom repository']?.(`custom-${i}`),
            doors.all['dataSource.query']?.(`query-${i}`),
          ]),
        ),
      ),
    );
    expect(await seen.orders()).toHaveLength(20);
  });

  describe('a query runner', () => {
    it('made inside cannot end the transaction around it', async () => {
      await service.inTransaction(async () => {
        const runner = service.dataSource.createQueryRunner();
        await expect(runner.commitTransaction()).rejects.toThrow('not started');
        await expect(runner.rollbackTransaction()).rejects.toThrow('not started');
        await runner.startTransaction();
        await runner.manager.insert(Order, { id: 'undone' });
        await runner.rollbackTransaction();
        await runner.release();
        await service.insert('kept');
      });
      expect(await seen.orders()).toEqual(['kept']);
    });

    it('made inside whose transaction was neither committed nor rolled back fails the commit', async () => {
      await expect(
        service.inTransaction(async () => {
          await service.insert('a');
          const runner = service.dataSource.createQueryRunner();
          await runner.startTransaction();
          await runner.manager.insert(Order, { id: 'b' });
          await runner.release();
        }),
      ).rejects.toThrow(UnfinishedSavepointError);
      expect(await seen.orders()).toEqual([]);
    });

    it('made before is refused inside, unless it has a transaction of its own', async () => {
      const runner = service.dataSource.createQueryRunner();
      const insert = (id: string) => runner.manager.insert(Order, { id });
      await insert('before');
      await service.inTransaction(async () => {
        await expect(insert('inside')).rejects.toThrow(OutsideTransactionError);
        await expect(runner.startTransaction()).rejects.toThrow(OutsideTransactionError);
        await app.get(Outside).run(() => insert('left'));
      });
      await runner.startTransaction();
      await service.inTransaction(() => insert('its own'));
      await runner.rollbackTransaction();
      await insert('after');
      await runner.release();
      expect(await seen.orders()).toEqual(['after', 'before', 'left']);
    });
  });
});
