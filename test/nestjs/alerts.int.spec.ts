import { Controller, Injectable, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  HandlerObservers,
  IdempotentHandler,
  Saga,
  SagaOf,
  SagaStep,
  WorkObservers,
  connectSagaz,
  defineCommand,
} from '@sagaz/nestjs';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgresBroker } from '@sagaz/postgres';
import {
  createDatabase,
  postgresServers,
  skipAbsent,
  type TestDatabase,
} from '@sagaz/test-support';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { register } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, appModule } from './app.js';
import { checkMetrics, checkRules, firing, promtoolMissing, type Samples } from './promtool.js';

const RULES = fileURLToPath(new URL('../../docs/alerts/sagaz.rules.yml', import.meta.url));
const GUIDE = fileURLToPath(new URL('../../docs/guides/operations.md', import.meta.url));

const Reserve = defineCommand<{ readonly id: string }>()('stock.reserve');

@Saga({ name: 'fetch' })
@Injectable()
class FetchSaga extends SagaOf<undefined> {
  @SagaStep()
  async look(): Promise<void> {
    // Nothing to do: it never runs.
  }
}

@Controller()
class Stock {
  @IdempotentHandler(Reserve)
  async reserve(): Promise<void> {
    // Nothing to do: nothing is sent.
  }
}

@Module({ imports: [PrometheusModule.register(), SagazMetricsModule] })
class Monitoring {}

/** The exposition of a process in which an event happens for the first time. */
type Event = (observers: WorkObservers, handlers: HandlerObservers) => void;
const saga = { sagaId: 's', saga: 'fetch', version: 1, createdAt: 0, traceparent: null };
const attempt = { ...saga, role: 'step', step: 'look', item: null, attempt: 1 } as const;

/** By alert: what brings it about, once; a text: the gauge that changes. */
const FIRST: Readonly<Record<string, Event | readonly [series: string, value: number]>> = {
  SagazSagaNeedsAttention: ['sagaz_store_sagas{connection="default",status="needs_attention"}', 1],
  SagazMessagesGivenUp: ['sagaz_store_inbox_dead_letters{connection="default"}', 1],
  SagazOutboxDeadLetters: [
    'sagaz_store_outbox_messages{connection="default",status="dead_letter"}',
    1,
  ],
  SagazOutboxBehind: ['sagaz_store_outbox_oldest_seconds{connection="default"}', 61],
  SagazGroupBehind: ['sagaz_broker_group_oldest_seconds{group="stock",topic="stock"}', 301],
  SagazTopicWithoutGroup: ['sagaz_broker_unrouted_oldest_seconds', 301],
  SagazUnserved: (observers) =>
    observers.unserved([{ kind: 'group', name: 'gone', oldestMs: 90_000 }]),
  SagazSagasUnserved: (observers) =>
    observers.unservedSagas({
      connection: 'default',
      found: [
        { name: 'fetch', version: 2, format: 1, count: 1, more: false, oldestMs: 1, example: 's' },
      ],
    }),
  SagazMessagesLost: (observers) => observers.lost('default', 1),
  SagazMessagesStuck: ['sagaz_process_stuck_messages{kind="outbox",name="default"}', 1],
  SagazDatabaseRefuses: (observers) =>
    observers.relay('default').storeFailed?.({ failure: 'refused' }),
  SagazBrokerAway: ['sagaz_process_broker_up', 0],
  SagazBrokerRefuses: (observers) => observers.brokerFailed({ failure: 'refused' }),
  SagazEngineTakenForDead: (observers) =>
    observers.facts('default').tell({ kind: 'engine_died', incarnation: 'i' }),
  SagazStepCrashes: (observers) =>
    observers.facts('default').tell({ kind: 'task_crashed', ...attempt, crashes: 1 }),
  SagazReplyRefused: (observers) =>
    observers.facts('default').tell({ kind: 'reply_ignored', ...saga, reason: 'wrong_source' }),
  SagazReplyDropped: (observers) => observers.replyDropped({ reason: 'untrusted' }),
  SagazLateEffect: (observers) =>
    observers.facts('default').tell({ kind: 'late_effect', ...attempt }),
  SagazHandlerGaveUp: (_, handlers) =>
    handlers.ended({
      message: { ...message, type: 'stock.reserve' },
      group: 'stock',
      role: 'command',
      durationMs: 1,
      outcome: {
        kind: 'buried',
        blocks: false,
        reason: 'final',
        attempts: 1,
        error: new Error('no'),
      },
    }),
};

const message = {
  id: 'm',
  tenant: '',
  topic: 'stock',
  key: 'k',
  source: 's',
  time: '2026-01-01T00:00:00Z',
  contentType: 'application/json',
  payload: new Uint8Array(),
  headers: {},
};

const missing = promtoolMissing();
const server = postgresServers()[0]!;

describe('the alert rules of the guide', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let atStart: Samples;
  let exposition: string;

  beforeAll(async () => {
    register.clear();
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        providers: [FetchSaga],
        controllers: [Stock],
        imports: [Monitoring],
        sagaz: {
          service: 'stock',
          broker: postgresBroker({ url: db.url }),
          roles: { engine: true, relay: true, consume: true },
        },
      }),
      { logger: ['error', 'fatal'] },
    );
    connectSagaz(app);
    await app.startAllMicroservices();
    await app.listen(0);
    // The group joins when the application has started; nothing has happened before that.
    const seen = new Observer(db.url);
    while ((await seen.rows('SELECT FROM sagaz_broker.subscription')).length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await seen.close();
    exposition = await scrape(app);
    atStart = samplesOf(exposition);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const needsPromtool = (skip: (note: string) => void): void => {
    if (missing !== undefined) skipAbsent(skip, missing);
  };

  const alerts = [...readFileSync(RULES, 'utf8').matchAll(/- alert: (\w+)/g)].map(
    ([, name]) => name ?? '',
  );

  it('are each named in the guide, and each tried here', () => {
    const guide = readFileSync(GUIDE, 'utf8');
    expect(alerts.filter((alert) => !guide.includes(`\`${alert}\``))).toEqual([]);
    expect([...alerts].sort()).toEqual(Object.keys(FIRST).sort());
  });

  it('are read by Prometheus, and so is what an application tells', ({ skip }) => {
    needsPromtool(skip);
    checkRules(RULES);
    expect(checkMetrics(exposition)).not.toMatch(/sagaz_/);
  });

  it.each(alerts)('%s fires at the first event, and not before', async (alert) => {
    const first = FIRST[alert];
    if (first === undefined) throw new Error('not tried');
    let after: Samples;
    if (typeof first === 'function') {
      first(app.get(WorkObservers), app.get(HandlerObservers));
      after = samplesOf(await scrape(app));
    } else {
      expect([...atStart.keys()], 'the gauge is there from the first scrape on').toContain(
        first[0],
      );
      after = new Map([...atStart, first]);
    }
    if (missing !== undefined && !process.env.CI) return;
    // Each event is looked at by itself: what happened before it is not what it makes fire.
    expect(firing(RULES, { alert, before: onlySagaz(atStart), after: onlySagaz(after) })).toEqual([
      false,
      true,
    ]);
  });

  it('were tried on Prometheus', ({ skip }) => {
    needsPromtool(skip);
  });
});

async function scrape(app: INestApplication): Promise<string> {
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  // Promtool keeps this process busy for longer than a connection is kept open.
  const headers = { connection: 'close' };
  return (await fetch(`http://127.0.0.1:${String(port)}/metrics`, { headers })).text();
}

function samplesOf(text: string): Samples {
  return new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [, name, value] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, Number(value)]];
    }),
  );
}

/** Without histograms, which no rule asks. */
function onlySagaz(samples: Samples): Samples {
  return new Map(
    [...samples].filter(
      ([name]) => name.startsWith('sagaz_') && !/_seconds_(bucket|sum)/.test(name),
    ),
  );
}
