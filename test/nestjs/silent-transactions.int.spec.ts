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
  type SagaHandle,
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

/** The ids that steps and handlers were given, once for each time. */
let runs: string[] = [];

@Saga({ name: 'place', output: 'place' })
@Injectable()
class PlaceSaga extends SagaOf<Placed, string> {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {
    super();
  }

  // One attempt: silence must not use it up.
  @SagaStep({ transactional: true, retry: { attempts: 1 } })
  async place(@SagaInput() { id }: Placed): Promise<string> {
    runs.push(id);
    await this.orders.insert({ id });
    return 'placed';
  }
}

@Controller()
class Handlers {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  @IdempotentHandler(Placed, { retry: { attempts: 1 } })
  async placed(@Payload() { id }: Placed): Promise<void> {
    runs.push(id);
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
    runs = [];
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
    expect(runs).toHaveLength(ids.length);
  }, 60_000);

  it('costs a handler no attempt either', async () => {
    const { bench } = parts;
    const ids = Array.from({ length: POOL }, (_, n) => `h${n}`);
    for (const id of ids) await bench.send({ type: 'shop.placed', payload: { id } });
    await expect.poll(() => seen.orders(), { timeout: 40_000 }).toEqual(ids);
    expect(runs).toHaveLength(ids.length);
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
    let lost: Promise<unknown>;
    let saga: SagaHandle<string>;

    // Each waits for the limit of a COMMIT: all of them do at the same time.
    beforeAll(async () => {
      runs = [];
      db = await createDatabase(server);
      proxy = await CuttingProxy.before(db.url);
      parts = await start(proxy.url);
      seen = new Observer(db.url);
      let forgotten = proxy.forgetNextCommit(when);
      lost = parts.service
        .inTransaction(() => parts.service.insert('lost'))
        .catch((error: unknown) => error);
      await forgotten;
      forgotten = proxy.forgetNextCommit(when);
      saga = await parts.app.get(Sagas).start(PlaceSaga, { id: 'step' });
      await forgotten;
      forgotten = proxy.forgetNextCommit(when);
      await parts.bench.send({ type: 'shop.placed', payload: { id: 'handler' } });
      await forgotten;
    });
    afterAll(async () => {
      await parts.app.close();
      await proxy.close();
      await seen.close();
      await db.drop();
    });
    const kept = async (id: string): Promise<boolean> => (await seen.orders()).includes(id);
    const runsOf = (id: string): number => runs.filter((given) => given === id).length;

    it('is reported as unknown, and others go on meanwhile', async () => {
      const { service } = parts;
      await service.inTransaction(() => service.insert('other'));
      expect(await kept('other')).toBe(true);
      const error = await lost;
      expect(error).toBeInstanceOf(CommitUnknownError);
      expect((error as CommitUnknownError).cause).toBeInstanceOf(NoAnswerError);
      expect(await kept('lost')).toBe(done);
    }, 60_000);

    it('is looked up for a step, whose effect is there once', async () => {
      // The step has one attempt, and a commit that did not happen is its failure.
      expect(await saga.outcome()).toMatchObject({ status: done ? 'completed' : 'compensated' });
      expect(await kept('step')).toBe(done);
      expect(runsOf('step')).toBe(1);
    }, 60_000);

    it('is looked up for a handler, whose effect is there once', async () => {
      await expect
        .poll(() => parts.bench.events.at(-1)?.outcome.kind, { timeout: 40_000 })
        .toBe('committed');
      expect(await kept('handler')).toBe(true);
      expect(runsOf('handler')).toBe(done ? 1 : 2);
    }, 60_000);

    it('leaves no connection behind that was forgotten', async () => {
      await expect.poll(() => proxy.forgotten).toBe(0);
    });
  },
);
