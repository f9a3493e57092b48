import { Controller, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotentHandler, Outbox, connectSagaz, defineEvent } from '@sagaz/nestjs';
import { SagazHealth, SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { register } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, appModule } from './app.js';

interface Item {
  readonly id: string;
}
const Placed = defineEvent<Item>()('shop.placed');

const handled: string[] = [];

@Controller()
class Stock {
  @IdempotentHandler(Placed)
  async placed({ id }: Item): Promise<void> {
    await Promise.resolve();
    handled.push(id);
  }
}

@Module({ imports: [SagazHealthModule, PrometheusModule.register(), SagazMetricsModule] })
class Watched {}

const METRIC = 'sagaz_process_stuck_messages';
const sample = (kind: string, name: string, value: number): string =>
  `${METRIC}{kind="${kind}",name="${name}"} ${String(value)}`;

async function shown(...samples: string[]): Promise<void> {
  const lines = async () => (await register.getSingleMetricAsString(METRIC)).split('\n');
  await expect.poll(lines, { timeout: 15_000 }).toEqual(expect.arrayContaining(samples));
}

describe('messages that are done and whose rows cannot be deleted', { timeout: 60_000 }, () => {
  let db: TestDatabase;
  let seen: Observer;
  let app: INestApplication;

  beforeAll(async () => {
    register.clear();
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        controllers: [Stock],
        imports: [Watched],
        sagaz: {
          service: 'stock',
          broker: postgresBroker({ pollIntervalMs: 50 }),
          roles: { engine: false, relay: true, consume: true },
          relay: { pollInterval: '50ms' },
        },
      }),
      { logger: false, abortOnError: false },
    );
    connectSagaz(app);
    await app.startAllMicroservices();
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });

  it('are shown by queue in the metrics, from the first scrape on, and in health', async () => {
    await shown(sample('outbox', 'default', 0), sample('group', 'stock', 0));
    await seen.rows(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'a rule of the application'; END $$`);
    for (const table of ['sagaz.message', 'sagaz_broker.message']) {
      await seen.rows(`CREATE TRIGGER keep BEFORE DELETE ON ${table} FOR EACH ROW
        WHEN (OLD.key = 'kept') EXECUTE FUNCTION keep()`);
    }
    const outbox = app.get(Outbox);
    await outbox.transaction(async () => {
      await outbox.publish(Placed, { id: 'a' }, { key: 'kept' });
      await outbox.publish(Placed, { id: 'b' }, { key: 'other' });
    });
    await shown(sample('outbox', 'default', 1), sample('group', 'stock', 1));
    expect([...handled].sort()).toEqual(['a', 'b']);
    const health = app.get(SagazHealth);
    expect(await health.work()).toMatchObject({
      'relay default': { status: 'up', message: expect.stringContaining('outbox default: 1') },
      consumers: { status: 'up', message: expect.stringContaining('group stock: 1') },
    });

    for (const table of ['sagaz.message', 'sagaz_broker.message']) {
      await seen.rows(`DROP TRIGGER keep ON ${table}`);
    }
    await shown(sample('outbox', 'default', 0), sample('group', 'stock', 0));
    expect((await health.work())['consumers']).toEqual({ status: 'up' });
  });
});
