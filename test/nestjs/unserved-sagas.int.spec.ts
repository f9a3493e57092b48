import {
  Injectable,
  Module,
  type INestApplication,
  type LoggerService,
  type Provider,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { newNonce, systemClock, type Clock } from '@sagaz/core';
import { Saga, SagaOf, SagaStep, Sagas, type SagazOptions } from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { SAGAZ_CLOCK } from '@sagaz/nestjs/testing';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import type { AddressInfo } from 'node:net';
import { register } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { MessageBench } from './message-bench.js';

@Saga({ name: 'ship' })
@Injectable()
class ShipSaga extends SagaOf<undefined> {
  @SagaStep()
  async pack(): Promise<void> {
    // Nothing to do: no engine runs it.
  }
}

@Module({ imports: [PrometheusModule.register(), SagazMetricsModule, SagazHealthModule] })
class Monitoring {}

/** The host's clock, on which only the half minute between two looks is over in a moment. */
const clock: Clock = {
  now: () => systemClock.now(),
  date: () => systemClock.date(),
  after: (ms, fire) => systemClock.after(ms === 30_000 ? 500 : ms, fire),
};

const server = postgresServers()[0]!;
const OLD = "clock_timestamp() - interval '1 hour'";

describe('a process that looks for sagas that no engine runs', () => {
  let db: TestDatabase;
  let seen: Observer;
  let app: INestApplication | undefined;
  let lines: string[];
  const bench = new MessageBench();

  beforeEach(async () => {
    register.clear();
    lines = [];
    db = await createDatabase(server);
    seen = new Observer(db.url);
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    await seen.close();
    await db.drop();
  });

  async function start(
    sagaz: Partial<SagazOptions>,
    providers: readonly Provider[],
    url = db.url,
  ): Promise<INestApplication> {
    const note = (message: unknown): void => void lines.push(String(message));
    const quiet = (): void => undefined;
    const logger: LoggerService = { log: note, warn: note, error: note, fatal: note, debug: quiet };
    const root = appModule({ databases: [{ url }], imports: [Monitoring], providers, sagaz });
    const module = await Test.createTestingModule({ imports: [root] })
      .overrideProvider(SAGAZ_CLOCK)
      .useValue(clock)
      .compile();
    app = module.createNestApplication({ logger });
    await app.listen(0, '127.0.0.1');
    return app;
  }

  async function get(path: string): Promise<string> {
    const server = app?.getHttpServer() as { address(): AddressInfo };
    const answer = await fetch(`http://127.0.0.1:${String(server.address().port)}${path}`);
    return answer.text();
  }

  /** The series of the gauge, by their labels. */
  async function gauge(): Promise<Record<string, number>> {
    const text = await get('/metrics');
    return Object.fromEntries(
      [...text.matchAll(/^sagaz_unserved_sagas\{(.*)\} (\d+)$/gm)].map(([, labels = '', value]) => [
        labels,
        Number(value),
      ]),
    );
  }

  async function unserved(): Promise<unknown> {
    const { details } = JSON.parse(await get('/health/ready')) as {
      readonly details: Readonly<Record<string, unknown>>;
    };
    return details['unserved'];
  }

  const warnings = (): readonly string[] => lines.filter((line) => line.includes('Sagas of '));

  /** A saga that a process without an engine started an hour ago. */
  async function startOld(): Promise<void> {
    await app?.get(Sagas).start(ShipSaga, undefined);
    await seen.rows(`UPDATE sagaz.saga SET wake_at = ${OLD}`);
  }

  const found = { kind: 'saga', name: 'ship', version: 1 };
  const series = 'connection="default",saga="ship",version="1"';
  const remedy = /'ship', version 1, are due.*Deploy a process that has this version/;

  it.each([
    { what: 'only relays', roles: { engine: false, relay: true, consume: false } },
    { what: 'has no role', roles: { engine: false, relay: false, consume: false } },
  ])('finds them where the engines are gone and it $what', async ({ roles }) => {
    await start({ broker: bench.driver, roles }, [ShipSaga]);
    expect(await gauge()).toEqual({ 'connection="default"': 0, [series]: 0 });
    expect(await unserved()).toEqual({ status: 'up' });
    await startOld();
    await expect.poll(gauge).toEqual({ 'connection="default"': 0, [series]: 1 });
    expect(await unserved()).toMatchObject({ status: 'up', found: [{ ...found, count: 1 }] });
    expect(warnings()).toEqual([expect.stringMatching(remedy)]);

    await seen.rows('UPDATE sagaz.saga SET wake_at = NULL');
    await expect.poll(gauge).toEqual({ 'connection="default"': 0, [series]: 0 });
    expect(await unserved()).toEqual({ status: 'up' });
  });

  it('finds them where the last engine crashed, which nobody is left to declare dead', async () => {
    await start({}, [ShipSaga]);
    await startOld();
    const crashed = newNonce();
    await seen.rows(
      `INSERT INTO sagaz.engine (incarnation, service, host, pid, ttl_ms, runs, beat_at)
      VALUES ($1, 'orders', 'h', 1, 15000, '{"ship": [1]}', ${OLD})`,
      [crashed],
    );
    await seen.rows(`UPDATE sagaz.saga SET owner = $1, wake_at = NULL, updated_at = ${OLD}`, [
      crashed,
    ]);
    await expect.poll(gauge).toMatchObject({ [series]: 1 });
    expect(warnings()).toEqual([expect.stringMatching(remedy)]);
  });

  it('finds them where a deployment has removed its last saga class', async () => {
    await start({}, [ShipSaga]);
    await startOld();
    await app?.close();
    lines = [];
    register.clear();
    await start({ roles: { engine: true, relay: false, consume: false } }, []);
    expect(await gauge()).toEqual({ 'connection="default"': 0 });
    await expect.poll(gauge).toEqual({ 'connection="default"': 0, [series]: 1 });
    expect(await unserved()).toMatchObject({ status: 'up', found: [{ ...found, count: 1 }] });
    expect(warnings()).toEqual([expect.stringMatching(remedy)]);
  });

  it('warns once where its own engine runs another version', async () => {
    await start({ roles: { engine: true, relay: false, consume: false } }, [ShipSaga]);
    await seen.rows(
      `WITH d AS (INSERT INTO sagaz.definition (name, version) VALUES ('ship', 9) RETURNING number)
      INSERT INTO sagaz.saga (id, definition, tenant, status, revision, epoch, wake_at)
      SELECT gen_random_uuid(), number, '', 'waiting', 0, 1, ${OLD} FROM d`,
    );
    const other = 'connection="default",saga="ship",version="9"';
    await expect.poll(gauge).toEqual({ 'connection="default"': 0, [series]: 0, [other]: 1 });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(warnings()).toHaveLength(1);
  });

  const sagasRefused = expect.stringMatching(
    /^Looking for sagas that no engine runs is refused.*GRANT SELECT ON "sagaz".engine TO poor_/s,
  );
  const queuesRefused = expect.stringMatching(
    /^Looking for queues that no process serves is refused/,
  );

  it.each([
    { what: 'only relays', relay: true, told: [sagasRefused] },
    { what: 'has no role', relay: false, told: [queuesRefused, sagasRefused] },
  ])(
    'says once that it may not read sagas, and starts, where it $what',
    async ({ relay, told }) => {
      await start({}, [ShipSaga]);
      await startOld();
      await app?.close();
      lines = [];
      register.clear();
      const role = `poor_${newNonce().slice(0, 8)}`;
      await seen.rows(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
      try {
        await seen.rows(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
        await seen.rows(`GRANT USAGE ON SCHEMA sagaz TO ${role}`);
        await seen.rows(`GRANT ALL ON ALL TABLES IN SCHEMA sagaz TO ${role}`);
        await seen.rows(`GRANT ALL ON ALL SEQUENCES IN SCHEMA sagaz TO ${role}`);
        await seen.rows(`REVOKE ALL ON sagaz.saga, sagaz.engine FROM ${role}`);
        if (!relay) await seen.rows(`REVOKE ALL ON sagaz.slot_member FROM ${role}`);
        const url = new URL(db.url);
        url.username = role;
        url.password = 'x';
        const roles = { engine: false, relay, consume: false };
        await start({ migrate: false, broker: bench.driver, roles }, [ShipSaga], url.href);
        await expect.poll(unserved).toEqual({ status: 'up', notLookedAt: ['default'] });
        expect(await gauge(), '0 would say that nothing was found').toEqual({});
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        expect(lines.filter((line) => line.startsWith('Looking for')).sort()).toEqual(told);
      } finally {
        await app?.close();
        app = undefined;
        await seen.rows(`DROP OWNED BY ${role}`);
        await seen.rows(`DROP ROLE ${role}`);
      }
    },
  );
});
