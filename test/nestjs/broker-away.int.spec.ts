import { Controller, Injectable, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  IdempotentHandler,
  Outbox,
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  command,
  connectSagaz,
  defineCommand,
} from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgresBroker } from '@sagaz/postgres';
import {
  SilentProxy,
  createDatabase,
  freePort,
  postgresServers,
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type TestDatabase,
} from '@sagaz/test-support';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { register } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, appModule, type AppSetup } from './app.js';

const Pack = defineCommand<{ readonly id: string }>()('stock.pack');

@Saga({ name: 'ship' })
@Injectable()
class ShipSaga extends SagaOf<undefined> {
  @SagaStep()
  pack() {
    return command(Pack, { id: 'p' });
  }
}

const packed: string[] = [];

@Controller()
class Stock {
  @IdempotentHandler(Pack)
  async pack({ id }: { readonly id: string }): Promise<void> {
    packed.push(id);
    await Promise.resolve();
  }
}

@Module({ imports: [SagazHealthModule, PrometheusModule.register(), SagazMetricsModule] })
class Watched {}

interface Readiness {
  readonly status: number;
  readonly details: Readonly<
    Record<string, { readonly status: string; readonly message?: string }>
  >;
}

function originOf(app: INestApplication): string {
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return `http://127.0.0.1:${String(port)}`;
}

async function ready(app: INestApplication): Promise<Readiness> {
  const response = await fetch(`${originOf(app)}/health/ready`);
  const { details } = (await response.json()) as Pick<Readiness, 'details'>;
  return { status: response.status, details };
}

const scrape = async (app: INestApplication): Promise<string> =>
  (await fetch(`${originOf(app)}/metrics`)).text();

/** The application tells it, now or some time later. */
async function scraped(app: INestApplication, sample: RegExp): Promise<void> {
  while (!sample.test(await scrape(app))) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Events beside the test show in the answers of the application only. */
async function once200(app: INestApplication): Promise<Readiness> {
  return readyWhen(app, ({ status }) => status === 200);
}

async function readyWhen(
  app: INestApplication,
  holds: (readiness: Readiness) => boolean,
): Promise<Readiness> {
  for (;;) {
    const readiness = await ready(app);
    if (holds(readiness)) return readiness;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A server of its own is started, and processes; none of these times is a promise.
describe('an application whose broker is away when it starts', { timeout: 120_000 }, () => {
  let server: EmbeddedPostgres;
  let brokers: Observer;
  let db: TestDatabase;
  let app: INestApplication | null = null;
  let proxy: SilentProxy | null = null;
  let child: ChildProcess | null = null;
  let database = 0;
  /** Of the broker's database, at which nobody listens until {@link come}. */
  let away = '';

  beforeAll(async () => {
    server = await startEmbeddedPostgres();
    brokers = new Observer(server.url);
    db = await createDatabase(postgresServers()[0]!);
  });
  beforeEach(async () => {
    register.clear();
    packed.length = 0;
    database += 1;
    await brokers.rows(`CREATE DATABASE broker_${String(database)}`);
    const nobody = new URL(brokerUrl());
    nobody.port = String(await freePort());
    away = nobody.href;
  });
  afterEach(async () => {
    await app?.close();
    await proxy?.close();
    child?.kill('SIGKILL');
    app = proxy = child = null;
  });
  afterAll(async () => {
    await brokers.close();
    await server.stop();
    await db.drop();
  });

  const brokerUrl = (): string => {
    const url = new URL(server.url);
    url.pathname = `/broker_${String(database)}`;
    return url.href;
  };

  /** The broker's server is there from now on. */
  async function come(): Promise<void> {
    proxy = await SilentProxy.before(brokerUrl(), Number(new URL(away).port));
  }

  async function start(setup: Omit<AppSetup, 'databases'>): Promise<INestApplication> {
    const module = appModule({ databases: [{ url: db.url }], imports: [Watched], ...setup });
    app = await NestFactory.create(module, { logger: false, abortOnError: false });
    connectSagaz(app);
    await app.startAllMicroservices();
    await app.listen(0);
    return app;
  }

  /** It only takes orders: another process relays, and it handles nothing. */
  const orders = (url = away): Promise<INestApplication> =>
    start({
      providers: [ShipSaga],
      sagaz: {
        broker: postgresBroker({ url }),
        roles: { engine: true, relay: false, consume: true },
      },
    });

  it('starts unready and says why, then relays and handles what was published meanwhile', async () => {
    const stock = await start({
      controllers: [Stock],
      sagaz: {
        service: 'stock',
        broker: postgresBroker({ url: away }),
        roles: { engine: false, relay: true, consume: true },
      },
    });
    const { status, details } = await ready(stock);
    expect(status).toBe(503);
    expect(details['broker']).toMatchObject({
      status: 'down',
      message: expect.stringMatching(
        /no connection to the broker postgres.*ECONNREFUSED/,
      ) as unknown,
    });
    expect(details['consumers']).toMatchObject({
      status: 'down',
      message: expect.stringContaining(`The group 'stock' gets no messages`) as unknown,
    });
    expect((await fetch(`${originOf(stock)}/health/live`)).status).toBe(200);
    const early = await scrape(stock);
    expect(early).toContain('sagaz_process_broker_up 0');
    expect(early).toContain('sagaz_process_broker_failures_total{failure="refused"} 0');

    const outbox = stock.get(Outbox);
    await outbox.transaction(async () => {
      await outbox.publish(Pack, { id: 'early' }, { key: 'k' });
    });
    await scraped(stock, /^sagaz_process_broker_failures_total\{failure="away"\} [1-9]/m);
    await come();
    await once200(stock);
    while (packed.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(packed).toEqual(['early']);
    expect(await scrape(stock)).toContain('sagaz_process_broker_up 1');
  });

  it('is ready where its outbox takes messages, and hears replies once the broker is there', async () => {
    const shop = await orders();
    const { status, details } = await ready(shop);
    expect(status).toBe(200);
    expect(details['broker']?.message).toMatch(/^away, and nothing here stops without it/);
    expect(details['replies']?.message).toMatch(/^waits for the broker/);
    await shop.get(Sagas).start(ShipSaga, undefined);
    await come();
    await readyWhen(shop, ({ details: now }) => now['replies']?.message === undefined);
    const seen = new Observer(brokerUrl());
    expect(await seen.rows('SELECT name FROM sagaz_broker.queue')).toEqual([
      { name: 'orders.engine' },
    ]);
    await seen.close();
  });

  it('is unready whatever its roles while the broker refuses it, and works when it does no more', async () => {
    const url = new URL(away);
    url.username = `latecomer_${String(database)}`;
    const shop = await orders(url.href);
    expect((await ready(shop)).status).toBe(200);
    await come();
    const refused = await readyWhen(shop, ({ status }) => status === 503);
    expect(refused.details['broker']).toMatchObject({
      status: 'down',
      message: expect.stringMatching(/authentication failed.*Correct what it refuses/s) as unknown,
    });
    expect(JSON.stringify(refused)).not.toContain(url.password);
    await scraped(shop, /^sagaz_process_broker_failures_total\{failure="refused"\} [1-9]/m);
    await brokers.rows(`CREATE ROLE ${url.username} SUPERUSER LOGIN PASSWORD '${url.password}'`);
    expect((await once200(shop)).details['broker']).toEqual({ status: 'up' });
  });

  it('is unready whatever its roles where the broker that was there lacks its schema now', async () => {
    await come();
    const shop = await orders();
    expect((await ready(shop)).status).toBe(200);
    const operator = new Observer(brokerUrl());
    await operator.rows('ALTER SCHEMA sagaz_broker RENAME TO elsewhere');
    const { details } = await readyWhen(shop, ({ status }) => status === 503);
    expect(details['broker']).toMatchObject({
      status: 'down',
      message: expect.stringContaining('sagaz_broker') as unknown,
    });
    await operator.rows('ALTER SCHEMA elsewhere RENAME TO sagaz_broker');
    await operator.close();
    await once200(shop);
  });

  it('keeps its process alive, also where nothing else does', async () => {
    child = spawn(process.execPath, ['--input-type=module', '--eval', RELAY, away], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    const ended = once(child, 'exit').then(([code, signal]: unknown[]) => {
      throw new Error(`The process ended with ${String(code ?? signal)}: ${said}`);
    });
    const out = child.stdout!.setEncoding('utf8');
    const hears = async (text: string): Promise<void> => {
      while (!said.includes(text)) said += String((await once(out, 'data'))[0]);
    };
    await Promise.race([hears('works'), ended]);
    expect(said).toContain('The application starts without its broker postgres');
    await come();
    await Promise.race([hears('The broker postgres is there'), ended]);
    ended.catch(() => undefined);
  });
});

/**
 * The built packages, in a process whose store opens no connection, and whose broker has none open either
 * between its tries and at the beginning of each.
 */
const RELAY = `
import { NestFactory } from '@nestjs/core';
import { memoryStore } from '@sagaz/core/memory';
import { SagazModule } from '@sagaz/nestjs';
import { postgresBroker } from '@sagaz/postgres';
const driver = postgresBroker({ url: process.argv[1] });
const create = async (environment) => {
  await new Promise((resolve) => environment.clock.after(100, resolve));
  return driver.create(environment);
};
await NestFactory.createApplicationContext(
  SagazModule.forRoot({
    service: 'relay',
    store: memoryStore(),
    broker: { ...driver, create },
    roles: { engine: false, relay: true, consume: false },
  }),
);
console.log('works');
`;
