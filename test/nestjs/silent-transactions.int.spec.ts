import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { CommitUnknownError } from '@sagaz/core';
import {
  IdempotentHandler,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  defineEvent,
} from '@sagaz/nestjs';
import { NoAnswerError } from '@sagaz/postgres';
import {
  createDatabase,
  postgresServers,
  SilentProxy,
  type TestDatabase,
} from '@sagaz/test-support';
import { Repository } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';
import { MessageBench } from './message-bench.js';
import { Order } from './orders.js';
import { OrderService } from './service.js';

interface Placed {
  readonly id: string;
}
const Placed = defineEvent<Placed>()('shop.placed');

let runs = 0;

@Saga({ name: 'place', output: 'place' })
@Injectable()
class PlaceSaga extends SagaOf<Placed, string> {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {
    super();
  }

  // One attempt: silence must not use it up.
  @SagaStep({ transactional: true, retry: { attempts: 1 } })
  async place(@SagaInput() { id }: Placed): Promise<string> {
    runs += 1;
    await this.orders.insert({ id });
    return 'placed';
  }
}

@Controller()
class Handlers {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  @IdempotentHandler(Placed, { retry: { attempts: 1 } })
  async placed(@Payload() { id }: Placed): Promise<void> {
    runs += 1;
    await this.orders.insert({ id });
  }
}

const server = postgresServers()[0]!;
const POOL = 4;

interface Parts {
  readonly app: INestApplication;
  readonly service: OrderService;
  readonly bench: MessageBench;
}

async function start(url: string): Promise<Parts> {
  const bench = new MessageBench();
  const app = await startService({
    databases: [{ url, poolSize: POOL }],
    controllers: [Handlers],
    providers: [OrderService, PlaceSaga],
    sagaz: {
      broker: bench.driver,
      roles: { engine: true, relay: false, consume: true },
    },
  });
  bench.watch(app);
  return { app, service: app.get(OrderService), bench };
}

describe('a transaction that is opened on a connection which was forgotten on the way', () => {
  let db: TestDatabase;
  let proxy: SilentProxy;
  let parts: Parts;
  let seen: Observer;

  beforeAll(async () => {
    db = await createDatabase(server);
    proxy = await SilentProxy.before(db.url);
    parts = await start(proxy.url);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await parts.app.close();
    await proxy.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    runs = 0;
    await seen.clear();
    // As many connections as its pool has, all of them idle.
    const { dataSource } = parts.service;
    await Promise.all(Array.from({ length: POOL }, () => dataSource.query('SELECT pg_sleep(0.1)')));
    expect(proxy.forget()).toBeGreaterThanOrEqual(POOL);
  });
  afterEach(async () => {
    await expect.poll(() => proxy.forgotten, { timeout: 20_000 }).toBe(0);
  });

  it('ends in bounded time for its caller, and the next one works', async () => {
    const { service } = parts;
    const ended = await Promise.allSettled(
      Array.from({ length: POOL }, (_, n) =>
        service.inTransaction(() => service.insert(`lost${n}`)),
      ),
    );
    for (const end of ended) {
      expect(end).toMatchObject({ status: 'rejected', reason: expect.any(NoAnswerError) });
    }
    await service.inTransaction(() => service.insert('kept'));
    expect(await seen.orders()).toEqual(['kept']);
  }, 60_000);

  it('costs a step no attempt, and its effect is there once', async () => {
    const ids = Array.from({ length: POOL }, (_, n) => `s${n}`);
    const sagas = parts.app.get(Sagas);
    const handles = await Promise.all(ids.map((id) => sagas.start(PlaceSaga, { id })));
    for (const handle of handles) {
      expect(await handle.outcome()).toEqual({ status: 'completed', output: 'placed' });
    }
    expect(await seen.orders()).toEqual(ids);
    expect(runs).toBe(ids.length);
  }, 60_000);

  it('costs a handler no attempt either', async () => {
    const { bench } = parts;
    const ids = Array.from({ length: POOL }, (_, n) => `h${n}`);
    for (const id of ids) await bench.send({ type: 'shop.placed', payload: { id } });
    await expect.poll(() => seen.orders(), { timeout: 40_000 }).toEqual(ids);
    expect(runs).toBe(ids.length);
    expect(bench.events.filter(({ outcome }) => outcome.kind === 'buried')).toEqual([]);
  }, 60_000);
});

describe.each(['before', 'after'] as const)(
  'a COMMIT whose connection was forgotten %s it came through',
  (when) => {
    let db: TestDatabase;
    let proxy: CuttingProxy;
    let parts: Parts;
    let seen: Observer;
    const done = when === 'after';

    beforeAll(async () => {
      db = await createDatabase(server);
      proxy = await CuttingProxy.before(db.url);
      parts = await start(proxy.url);
      seen = new Observer(db.url);
    });
    afterAll(async () => {
      await parts.app.close();
      await proxy.close();
      await seen.close();
      await db.drop();
    });
    beforeEach(async () => {
      runs = 0;
      await seen.clear();
      proxy.forgetNextCommit(when);
    });

    it('is reported as unknown, and others go on meanwhile', async () => {
      const { service } = parts;
      const lost = service
        .inTransaction(() => service.insert('a'))
        .catch((error: unknown) => error);
      await expect.poll(() => proxy.forgotten).toBe(1);
      await service.inTransaction(() => service.insert('b'));
      const error = await lost;
      expect(error).toBeInstanceOf(CommitUnknownError);
      expect((error as CommitUnknownError).cause).toBeInstanceOf(NoAnswerError);
      expect(await seen.orders()).toEqual(done ? ['a', 'b'] : ['b']);
      expect(proxy.forgotten).toBe(0);
    }, 60_000);

    it('is looked up for a step, whose effect is there once', async () => {
      const handle = await parts.app.get(Sagas).start(PlaceSaga, { id: 'a' });
      // The step has one attempt, and a commit that did not happen is its failure.
      expect(await handle.outcome()).toMatchObject({ status: done ? 'completed' : 'compensated' });
      expect(await seen.orders()).toEqual(done ? ['a'] : []);
      expect(runs).toBe(1);
    }, 60_000);

    it('is looked up for a handler, whose effect is there once', async () => {
      await parts.bench.send({ type: 'shop.placed', payload: { id: 'a' } });
      await expect
        .poll(() => parts.bench.events.at(-1)?.outcome.kind, { timeout: 40_000 })
        .toBe('committed');
      expect(await seen.orders()).toEqual(['a']);
      expect(runs).toBe(done ? 1 : 2);
    }, 60_000);
  },
);
