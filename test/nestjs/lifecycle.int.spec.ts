import {
  Injectable,
  Module,
  type INestApplicationContext,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Saga, SagaInput, SagaOf, SagaStep, Sagas, SagazModule } from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Observer, appModule, startApp } from './app.js';

const events: string[] = [];
let gate = gateOf();
let entered = gateOf();

function gateOf(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

/** A client that somebody else's steps use, closed as Nest's documentation says. */
@Injectable()
class PaymentClient implements OnModuleDestroy, OnApplicationBootstrap {
  #open = false;

  onApplicationBootstrap(): void {
    this.#open = true;
    events.push('client ready');
  }

  async onModuleDestroy(): Promise<void> {
    this.#open = false;
    events.push('client closed');
  }

  async pay(): Promise<string> {
    if (!this.#open) throw new Error('the client is closed');
    return 'paid';
  }
}

@Module({ providers: [PaymentClient], exports: [PaymentClient] })
class PaymentModule {}

@Saga({ name: 'slow', output: 'pay' })
@Injectable()
class SlowSaga extends SagaOf<{ id: string }, string> {
  constructor(private readonly client: PaymentClient) {
    super();
  }

  @SagaStep({ retry: { attempts: 1 } })
  async pay(@SagaInput() { id }: { id: string }): Promise<string> {
    events.push(`step ${id} entered`);
    entered.open();
    await gate.passed;
    const paid = await this.client.pay();
    events.push(`step ${id} ${paid}`);
    return paid;
  }
}

const server = postgresServers()[0]!;

describe('the life of an application', () => {
  let db: TestDatabase;
  let app: INestApplicationContext | null = null;

  const start = (shutdownTimeout: '10s' | '300ms' = '10s') =>
    startApp({
      databases: [{ url: db.url }],
      imports: [PaymentModule],
      providers: [SlowSaga],
      sagaz: {
        broker: postgresBroker(),
        roles: { engine: true, relay: true, consume: true },
        shutdownTimeout,
      },
    });

  beforeEach(async () => {
    db = await createDatabase(server);
    events.length = 0;
    gate = gateOf();
    entered = gateOf();
  });
  afterEach(async () => {
    gate.open();
    await app?.close();
    app = null;
    await db.drop();
  });

  it('ends its steps before the clients they use are closed', async () => {
    app = await start();
    await app.get(Sagas).start(SlowSaga, { id: 'a' });
    await entered.passed;
    const closing = app.close();
    app = null;
    gate.open();
    await closing;
    expect(events).toEqual(['client ready', 'step a entered', 'step a paid', 'client closed']);
  });

  it('gives back what does not end in time, and the next process goes on with it at once', async () => {
    app = await start('300ms');
    const { id } = await app.get(Sagas).start(SlowSaga, { id: 'a' });
    await entered.passed;
    await app.close();
    const seen = new Observer(db.url);
    const [row] = await seen.rows<{ owner: string | null }>('SELECT owner FROM sagaz.saga');
    expect(row?.owner).toBeNull();
    expect(await seen.rows('SELECT 1 FROM sagaz.engine'), 'retired').toEqual([]);
    await seen.close();
    gate.open();
    app = await start();
    const handle = await app.get(Sagas).handle(id);
    expect(await handle.outcome()).toEqual({ status: 'completed', output: 'paid' });
  });

  it('starts sagas for others while it stops', async () => {
    app = await start();
    const sagas = app.get(Sagas);
    let started: string | undefined;
    const client = app.get(PaymentClient);
    client.onModuleDestroy = async (): Promise<void> => {
      // The engine has stopped by now; a request that is still served starts one more.
      started = (await sagas.start(SlowSaga, { id: 'late' })).id;
    };
    await app.close();
    app = null;
    const seen = new Observer(db.url);
    expect(await seen.rows('SELECT id, owner, status FROM sagaz.saga')).toEqual([
      { id: started, owner: null, status: 'pending' },
    ]);
    await seen.close();
  });

  it('leaves no connection open', async () => {
    app = await start();
    await app.close();
    app = null;
    const admin = new Observer(server.url);
    const name = new URL(db.url).pathname.slice(1);
    await expect
      .poll(() =>
        admin.rows('SELECT application_name FROM pg_stat_activity WHERE datname = $1', [name]),
      )
      .toEqual([]);
    await admin.close();
  });

  it('migrates outside production, and in production says what is missing', async () => {
    const environment = process.env['NODE_ENV'];
    process.env['NODE_ENV'] = 'production';
    try {
      const module = appModule({ databases: [{ url: db.url }] });
      await expect(
        NestFactory.createApplicationContext(module, { logger: false, abortOnError: false }),
      ).rejects.toThrow(/sagaz migrate/);
    } finally {
      process.env['NODE_ENV'] = environment;
    }
  });

  it('is configured by a factory as well', async () => {
    @Module({
      imports: [
        SagazModule.forRootAsync({
          useFactory: async () => ({
            service: 'async',
            store: postgres({ url: db.url }),
            roles: { engine: false, relay: false, consume: false },
          }),
        }),
      ],
    })
    class AppModule {}
    const async = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
    expect(await async.get(Sagas).find()).toEqual([]);
    await async.close();
  });
});
