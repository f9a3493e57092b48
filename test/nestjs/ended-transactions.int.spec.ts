import { Propagation, TransactionHost, Transactional } from '@nestjs-cls/transactional';
import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import {
  IdempotentHandler,
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  TransactionEndedError,
  defineEvent,
  recordMessage,
  type SagazTypeOrmAdapter,
} from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import QueryStream from 'pg-query-stream';
import type { EntityManager, EntitySubscriberInterface } from 'typeorm';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { CustomOrders, Doors, SharedOrders } from './doors.js';
import { MessageBench } from './message-bench.js';
import { Order, OrderPlaced, OrderTouched } from './orders.js';
import { Boom, OrderService } from './service.js';

const Hurried = defineEvent<object>()('hurry.wanted');
/** Rounds of races that no gate can pin: between the statements of one connection. */
const ROUNDS = 25;

/** Rejects at once, with work in hand that goes on. */
function hurry(doors: Doors, left: Promise<unknown>[]): Promise<unknown> {
  const working = Object.entries(doors.all).map(([name, door]) => door(name));
  left.push(...working);
  for (const one of working) one.catch(() => undefined);
  return Promise.all([...working, Promise.reject(new Boom())]);
}

@Saga({ name: 'hurry' })
@Injectable()
class HurrySaga extends SagaOf<object> {
  readonly left: Promise<unknown>[] = [];

  constructor(private readonly doors: Doors) {
    super();
  }

  @SagaStep({ transactional: true, retry: { attempts: 3, backoff: 1 } })
  async hurry(): Promise<void> {
    await hurry(this.doors, this.left);
  }
}

@Controller()
class HurryController {
  readonly left: Promise<unknown>[] = [];

  constructor(private readonly doors: Doors) {}

  @IdempotentHandler(Hurried, { retry: { attempts: 1 } })
  async wanted(): Promise<void> {
    await hurry(this.doors, this.left);
  }
}

@Injectable()
class Inner {
  @Transactional(Propagation.NotSupported)
  async outside<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.Supports)
  async supported<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.Mandatory)
  async mandatory<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

describeEachPostgres('code that still runs when its transaction has ended', (server) => {
  let db: TestDatabase;
  let app: INestApplication;
  let service: OrderService;
  let doors: Doors;
  let inner: Inner;
  let sagas: Sagas;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await startService({
      databases: [{ url: db.url, poolSize: 4 }],
      providers: [OrderService, CustomOrders, SharedOrders, Doors, HurrySaga, Inner],
      controllers: [HurryController],
      sagaz: { broker: bench.driver, roles: { engine: true, relay: false, consume: true } },
    });
    bench.watch(app);
    service = app.get(OrderService);
    doors = app.get(Doors);
    inner = app.get(Inner);
    sagas = app.get(Sagas);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  async function nothingIsLeft(): Promise<void> {
    expect(await seen.orders()).toEqual([]);
    expect(await seen.outbox()).toEqual([]);
    const idle = await seen.rows(
      "SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()",
    );
    expect(idle, 'no connection is left inside a transaction').toEqual([]);
  }

  /** Everything that uses an ambient transaction. */
  const uses = (): Readonly<Record<string, () => Promise<unknown>>> => ({
    ...Object.fromEntries(
      Object.entries(doors.all).map(([name, door]) => [name, () => door(name)]),
    ),
    publish: () => service.publish('a'),
    'sagas.start': () => sagas.start(HurrySaga, {}),
    recordMessage: async () => recordMessage(Order.place('a'), OrderTouched, { id: 'a' }),
    'outbox.transaction': () => service.outbox.transaction(() => service.insert('a')),
    'a nested @Transactional()': () => service.inTransaction(() => service.insert('a')),
    'a savepoint': () => service.inSavepoint(() => service.insert('a')),
    'Propagation.Supports': () => inner.supported(() => service.insert('a')),
    'Propagation.Mandatory': () => inner.mandatory(() => service.insert('a')),
  });

  describe.each([
    ['a rollback', () => Promise.reject(new Boom())],
    ['a commit', () => Promise.resolve()],
  ])('after %s', (_end, end) => {
    it('is refused whatever uses it, by a TransactionEndedError that says what to do', async () => {
      const started = (await sagas.find()).length;
      for (const [name, use] of Object.entries(uses())) {
        const gate = gateOf();
        let late: Promise<unknown> | undefined;
        await service
          .inTransaction(() => {
            late = gate.promise.then(use);
            late.catch(() => undefined);
            return end();
          })
          .catch(() => 'rolled back');
        gate.resolve();
        await expect(late, name).rejects.toThrow(TransactionEndedError);
        await expect(late, name).rejects.toThrow('Propagation.NotSupported');
      }
      await nothingIsLeft();
      expect(await sagas.find()).toHaveLength(started);
    });

    it('is refused through the manager of the transaction as well', async () => {
      const gate = gateOf();
      let manager: EntityManager | undefined;
      await service
        .inTransaction(() => {
          manager = app.get<TransactionHost<SagazTypeOrmAdapter>>(TransactionHost).tx;
          return end();
        })
        .catch(() => 'rolled back');
      gate.resolve();
      await expect(
        service.outbox.publish(OrderPlaced, { id: 'a' }, { manager: manager! }),
      ).rejects.toThrow(TransactionEndedError);
      await expect(manager!.insert(Order, { id: 'a' })).rejects.toThrow();
      await nothingIsLeft();
    });

    it('works where it was left on purpose, or by a transaction of its own', async () => {
      const gate = gateOf();
      let late: Promise<unknown> | undefined;
      await service
        .inTransaction(() => {
          late = gate.promise.then(() =>
            Promise.all([
              inner.outside(() => doors.all['a custom repository']!('left')),
              service.inNewTransaction(() => service.insert('own')),
              service.outbox.publish(OrderPlaced, { id: 'a' }, { standalone: true }),
            ]),
          );
          return end();
        })
        .catch(() => 'rolled back');
      gate.resolve();
      await late;
      expect(await seen.orders()).toEqual(['left', 'own']);
      expect(await seen.outbox()).toEqual(['order.placed']);
    });
  });

  it('writes nothing by itself while the rollback is under way', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const left: Promise<unknown>[] = [];
      await expect(service.inTransaction(() => hurry(doors, left))).rejects.toThrow(Boom);
      await Promise.allSettled(left);
      await nothingIsLeft();
    }
  });

  it('writes nothing by itself in a savepoint that is rolled back', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const left: Promise<unknown>[] = [];
      const simple = ['a custom repository', 'dataSource.query', 'an injected manager'];
      await service.inTransaction(async () => {
        await expect(
          service.inSavepoint(() => {
            const working = simple.map((name) => doors.all[name]!(name));
            left.push(...working);
            for (const one of working) one.catch(() => undefined);
            return Promise.all([...working, Promise.reject(new Boom())]);
          }),
        ).rejects.toThrow(Boom);
        await Promise.allSettled(left);
      });
      await nothingIsLeft();
    }
  });

  it('writes nothing by itself through the manager of dataSource.transaction()', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const left: Promise<unknown>[] = [];
      await expect(
        service.dataSource.transaction((manager) => {
          const working = ['a', 'b', 'c'].map((id) => manager.save(Order, { id }));
          left.push(...working);
          for (const one of working) one.catch(() => undefined);
          return Promise.all([...working, Promise.reject(new Boom())]);
        }),
      ).rejects.toThrow(Boom);
      await Promise.allSettled(left);
      await nothingIsLeft();
    }
  });

  it('holds up no commit by a stream of rows that nobody reads to its end', async () => {
    await service.inTransaction(async () => {
      for (const id of ['a', 'b', 'c']) await service.insert(id);
    });
    let rows: Readable | undefined;
    const end = new Promise<unknown>((resolve) => {
      void service
        .inTransaction(async () => {
          await service.insert('d');
          const runner = service.dataSource.createQueryRunner();
          rows = await runner.stream('SELECT g FROM generate_series(1, 100000) AS g');
          rows.on('error', resolve);
          for await (const row of rows.iterator({ destroyOnReturn: false })) {
            expect(row).toEqual({ g: 1 });
            break;
          }
        })
        .catch(resolve);
    });
    expect(await end).toBeInstanceOf(TransactionEndedError);
    await expect.poll(() => seen.orders()).toEqual(['a', 'b', 'c', 'd']);
    expect(rows).toBeInstanceOf(QueryStream);
    expect(rows?.destroyed).toBe(true);
  });

  it('opens no stream by itself when the transaction has ended', async () => {
    const gate = gateOf();
    let late: Promise<unknown> | undefined;
    await service.inTransaction(async () => {
      const runner = service.dataSource.createQueryRunner();
      late = gate.promise.then(() => runner.stream('INSERT INTO orders (id) VALUES ($1)', ['a']));
      late.catch(() => undefined);
      await service.insert('b');
    });
    gate.resolve();
    await expect(late).rejects.toThrow(TransactionEndedError);
    expect(await seen.orders()).toEqual(['b']);
  });

  it('writes nothing by itself in a transactional step', async () => {
    const handle = await sagas.start(HurrySaga, {});
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    await Promise.allSettled(app.get(HurrySaga).left);
    await nothingIsLeft();
  });

  it('writes nothing by itself in a handler', async () => {
    const ended = await bench.deliver({ type: 'hurry.wanted' });
    expect(ended.kind).not.toBe('committed');
    await Promise.allSettled(app.get(HurryController).left);
    await nothingIsLeft();
  });

  it('lets hooks of subscribers work after the end: they are meant to', async () => {
    const done: string[] = [];
    const subscriber: EntitySubscriberInterface = {
      async afterTransactionCommit({ manager }) {
        if (done.includes('commit')) return;
        done.push('commit');
        await doors.all['a custom repository']!('by repository');
        await manager.insert(Order, { id: 'by manager' });
        await inner.supported(() => service.insert('by service'));
      },
      async afterTransactionRollback() {
        if (done.includes('rollback')) return;
        done.push('rollback');
        await doors.all['dataSource.query']!('after rollback');
      },
    };
    service.dataSource.subscribers.push(subscriber);
    try {
      await service.inTransaction(() => service.insert('a'));
      await expect(service.inTransaction(() => Promise.reject(new Boom()))).rejects.toThrow(Boom);
    } finally {
      service.dataSource.subscribers.splice(service.dataSource.subscribers.indexOf(subscriber), 1);
    }
    expect(await seen.orders()).toEqual([
      'a',
      'after rollback',
      'by manager',
      'by repository',
      'by service',
    ]);
  });
});

function gateOf(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((open) => (resolve = open));
  return { promise, resolve };
}
