import { Injectable, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Saga, SagaOf, SagaStep, Sagas, command, defineCommand } from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { register } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';
import { MessageBench } from './message-bench.js';

@Module({ imports: [SagazHealthModule] })
class Probes {}

@Module({ imports: [PrometheusModule.register(), SagazMetricsModule] })
class Monitoring {}

const Pack = defineCommand<undefined>()('stock.pack');

@Saga({ name: 'ship' })
@Injectable()
class ShipSaga extends SagaOf<undefined> {
  @SagaStep()
  pack() {
    return command(Pack, undefined);
  }
}

interface Answer {
  readonly status: number;
  readonly details: Readonly<
    Record<string, { readonly status: string; readonly message?: string }>
  >;
}

const server = postgresServers()[0]!;

function originOf(app: INestApplication): string {
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return `http://127.0.0.1:${String(port)}`;
}

async function probe(app: INestApplication, path: 'live' | 'ready'): Promise<Answer> {
  const response = await fetch(`${originOf(app)}/health/${path}`);
  const { details } = (await response.json()) as Pick<Answer, 'details'>;
  return { status: response.status, details };
}

describe('the probes of an application', () => {
  let db: TestDatabase;
  let app: INestApplication;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        imports: [Probes],
        sagaz: { broker: bench.driver, roles: { engine: false, relay: true, consume: true } },
      }),
      { logger: false },
    );
    await app.listen(0);
  });
  afterAll(async () => {
    await app.close();
  });

  const ask = (path: 'live' | 'ready'): Promise<Answer> => probe(app, path);

  it('are up while all is well, and name what they looked at', async () => {
    expect((await ask('live')).status).toBe(200);
    const { status, details } = await ask('ready');
    expect(status).toBe(200);
    expect(details).toMatchObject({
      database: { status: 'up' },
      broker: { status: 'up' },
      'relay default': { status: 'up' },
    });
  });

  it('say that the broker is away, and that the process lives', async () => {
    bench.broker.setDown(new Error('gone fishing'));
    // A moment is forgiven.
    const first = await ask('ready');
    expect(first.details['broker']).toEqual({
      status: 'up',
      message: 'away for a moment: gone fishing',
    });
    let last = first;
    while (last.details['broker']?.status === 'up') {
      await pause(100);
      last = await ask('ready');
    }
    expect(last.status).toBe(503);
    expect(last.details['broker']).toEqual({ status: 'down', message: 'gone fishing' });
    expect((await ask('live')).status).toBe(200);
    bench.broker.setDown(null);
    expect((await ask('ready')).details['broker']).toEqual({ status: 'up' });
  });

  it('say that the database is away, and that the process lives', async () => {
    await db.drop();
    const { status, details } = await ask('ready');
    expect(status).toBe(503);
    expect(details['database']).toMatchObject({ status: 'down' });
    expect((await ask('live')).status).toBe(200);
  });
});

describe.each([
  { what: 'has all roles', relay: true },
  { what: 'leaves its outbox to another process', relay: false },
])('an order service whose outbox takes messages and that $what', ({ relay }) => {
  let db: TestDatabase;
  let app: INestApplication;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        imports: [Probes],
        providers: [ShipSaga],
        // As a service that only starts sagas: it has no handler.
        sagaz: { broker: bench.driver, roles: { engine: true, relay, consume: true } },
      }),
      { logger: false },
    );
    await app.listen(0);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  it('is ready while the broker is away, says so, and starts sagas', async () => {
    bench.broker.setDown(new Error('gone fishing'));
    const { status, details } = await probe(app, 'ready');
    expect(status).toBe(200);
    expect(details['broker']).toEqual({
      status: 'up',
      message: 'away, and nothing here stops without it: gone fishing',
    });
    expect(details['replies']).toMatchObject({ status: 'up' });
    await app.get(Sagas).start(ShipSaga, undefined);
    if (relay) {
      // The relay tries to send the command in vain, and the process stays ready.
      let relayed = details['relay default'];
      while (relayed?.message === undefined) {
        const now = await probe(app, 'ready');
        expect(now.status).toBe(200);
        relayed = now.details['relay default'];
      }
      expect(relayed.message).toMatch(/^waits for the broker: /);
    }
    bench.broker.setDown(null);
    expect((await probe(app, 'ready')).details['broker']).toEqual({ status: 'up' });
  });
});

describe('while the database hangs', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy;
  let app: INestApplication;

  beforeAll(async () => {
    register.clear();
    db = await createDatabase(server);
    proxy = await CuttingProxy.before(db.url);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: proxy.url }],
        imports: [Probes, Monitoring],
        providers: [ShipSaga],
        sagaz: {
          broker: postgresBroker({ url: proxy.url }),
          roles: { engine: true, relay: true, consume: false },
        },
      }),
      { logger: false },
    );
    await app.listen(0);
    expect((await probe(app, 'ready')).status).toBe(200);
    proxy.freeze();
  });
  afterAll(async () => {
    proxy.thaw();
    await app.close();
    await proxy.close();
    await db.drop();
  });

  // That they answer at all shows it: what hangs here hangs until the test is over.
  it('the process lives, is not ready and says why, however often it is asked', async () => {
    expect((await probe(app, 'live')).status).toBe(200);
    const asked = await Promise.all(Array.from({ length: 30 }, () => probe(app, 'ready')));
    for (const { status, details } of asked) {
      expect(status).toBe(503);
      expect(details['database']).toMatchObject({
        status: 'down',
        message: expect.stringMatching(/no answer|No connection/) as unknown,
      });
    }
  });

  it('its own metrics are told, without those of the database', async () => {
    const text = await (await fetch(`${originOf(app)}/metrics`)).text();
    expect(text).toContain('sagaz_saga_started_total{saga="ship"} 0');
    expect(text).not.toMatch(/^sagaz_(store|broker)_/m);
  });

  it('all is well again when it goes on', async () => {
    proxy.thaw();
    while ((await probe(app, 'ready')).status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const text = async () => (await fetch(`${originOf(app)}/metrics`)).text();
    while (!(await text()).includes('sagaz_store_sagas{')) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});
