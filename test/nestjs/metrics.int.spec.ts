import { Controller, Injectable, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import {
  Compensate,
  IdempotentHandler,
  NonRetryableError,
  Outbox,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  HandlerObservers,
  WorkObservers,
  connectSagaz,
  defineCommand,
  defineEvent,
} from '@sagaz/nestjs';
import { HEADERS } from '@sagaz/core';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type { AddressInfo } from 'node:net';
import { register } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { MessageBench } from './message-bench.js';

interface Item {
  readonly id: string;
}
const Counted = defineCommand<Item>()('stock.counted');

@Saga({ name: 'measured' })
@Injectable()
class MeasuredSaga extends SagaOf<Item & { fail: boolean }> {
  @SagaStep()
  async first(): Promise<void> {
    // Nothing to do: it is only counted.
  }

  @Compensate('first')
  async undoFirst(@SagaInput() { id }: Item): Promise<void> {
    if (id === 'stuck') throw new NonRetryableError('cannot be undone');
  }

  @SagaStep({ dependsOn: ['first'], retry: { attempts: 1 } })
  async second(@SagaInput() { fail }: { fail: boolean }): Promise<void> {
    if (fail) throw new Error('no');
  }
}

@Controller()
class Counter {
  @IdempotentHandler(Counted)
  async counted({ id }: Item): Promise<void> {
    if (id === 'bad') throw new NonRetryableError('no such item');
  }
}

@Module({ imports: [PrometheusModule.register(), SagazMetricsModule] })
class Monitoring {}

/** Set by what a test cannot bring about in a process that goes on; shown by their events. */
const RARE = [
  'sagaz_outbox_lost_total',
  'sagaz_inbox_landed_total',
  'sagaz_saga_adopted_total',
  'sagaz_saga_step_crashes_total',
  'sagaz_saga_replies_ignored_total',
  'sagaz_saga_replies_dropped_total',
  'sagaz_saga_late_effects_total',
  'sagaz_engine_crashes_total',
  'sagaz_engine_returns_total',
  'sagaz_process_broker_failures_total',
  'sagaz_process_broker_extension_failures_total',
  'sagaz_unserved_sagas',
  'sagaz_database_failures_total',
];
/** Metrics of events that this broker in memory does not have, or that never happen here: see the alerts' test. */
const ABSENT = /^sagaz_(broker_|unserved_(queues|oldest)|process_(stuck_messages|landing_paused))/;

const server = postgresServers()[0]!;

/** Samples of an exposition: `name{a="b"}` → value. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [, name, value] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, Number(value)]];
    }),
  );
}

/** The series of all counters. Gauges are not asked, since they keep their answer for seconds. */
async function counterSeries(): Promise<readonly string[]> {
  const names = register.getMetricsAsArray().map(({ name }) => name);
  const counters = names.filter((name) => /^sagaz_.*_total$/.test(name));
  const texts = await Promise.all(counters.map((name) => register.getSingleMetricAsString(name)));
  return [...samplesOf(texts.join('\n')).keys()];
}

/** The relay works beside us, and tells by its metrics only. */
async function counted(name: string, sample?: string, value = 1): Promise<void> {
  for (;;) {
    const samples = samplesOf(await register.getSingleMetricAsString(name));
    const risen = [...samples.values()].some((one) => one > 0);
    if (sample === undefined ? risen : samples.get(sample) === value) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the metrics of an application that has worked', () => {
  let db: TestDatabase;
  let app: INestApplication;
  const bench = new MessageBench();
  let names: readonly string[];
  let first: readonly string[];
  let samples: ReadonlyMap<string, number>;

  beforeAll(async () => {
    register.clear();
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        providers: [MeasuredSaga],
        controllers: [Counter],
        imports: [Monitoring],
        sagaz: {
          service: 'stock',
          broker: bench.driver,
          roles: { engine: true, relay: true, consume: true },
          relay: {
            pollInterval: '50ms',
            publishTimeout: '200ms',
            retry: { attempts: 2, backoff: '1ms' },
          },
        },
      }),
      { logger: ['error', 'fatal'] },
    );
    connectSagaz(app);
    bench.watch(app);
    await app.startAllMicroservices();
    await app.listen(0);
    first = await counterSeries();

    const sagas = app.get(Sagas);
    await (await sagas.start(MeasuredSaga, { id: '1', fail: false })).outcome();
    await (await sagas.start(MeasuredSaga, { id: '2', fail: true })).outcome();
    await (await sagas.start(MeasuredSaga, { id: 'stuck', fail: true })).outcome();

    // Away for a moment, then silent for a moment: the relay goes on by itself.
    const outbox = app.get(Outbox);
    bench.broker.setDown(new Error('away'));
    await outbox.transaction(async () => {
      await outbox.publish(defineEvent<Item>()('early.bird'), { id: 'e' }, { key: 'e' });
    });
    await counted('sagaz_relay_pauses_total');
    const answer = bench.broker.hang();
    bench.broker.setDown(null);
    await counted('sagaz_relay_timeouts_total');
    answer();

    // Refused twice, and then given up.
    bench.broker.failWith(({ type }) =>
      type === 'poison.pill' ? { kind: 'rejected', error: new Error('too large') } : null,
    );
    await outbox.transaction(async () => {
      await outbox.publish(Counted, { id: 'a' }, { key: 'a' });
      await outbox.publish(defineEvent<Item>()('poison.pill'), { id: 'x' }, { key: 'x' });
    });
    const twice = { id: 'twice', type: 'stock.counted', payload: { id: 'b' } };
    await bench.deliver(twice);
    await bench.send(twice);
    await bench.ends('twice', 2);
    await bench.deliver({ type: 'stock.counted', payload: { id: 'bad' } });
    await bench.deliver({
      type: 'stock.whatever-a-stranger-sends',
      headers: { [HEADERS.role]: 'command', [HEADERS.idempotencyKey]: 'k' },
    });

    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    await counted('sagaz_relay_dead_letters_total');
    await counted(
      'sagaz_relay_lag_seconds',
      'sagaz_relay_lag_seconds_count{connection="default"}',
      2,
    );
    // Told before it is written, so that what cannot be written is told too.
    const seen = new Observer(db.url);
    while ((await seen.rows('SELECT 1 FROM sagaz.message WHERE lane <> 5')).length) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await seen.close();
    samples = samplesOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    // Only now: what lies in the store is counted once in five seconds.
    names = (await register.getMetricsAsJSON()).flatMap(({ name }) =>
      name.startsWith('sagaz_') && !ABSENT.test(name) ? [name] : [],
    );
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  it.each([
    ['sagaz_outbox_written_total{connection="default"}', 3],
    ['sagaz_relay_failed_total{connection="default",topic="poison",outcome="rejected"}', 2],
    [
      'sagaz_relay_dead_letters_total{connection="default",topic="poison",reason="attempts_exhausted"}',
      1,
    ],
    ['sagaz_relay_lag_seconds_count{connection="default"}', 2],
    ['sagaz_relay_leased_slots{connection="default"}', 256],
    ['sagaz_inbox_handled_total{group="stock",type="stock.counted",outcome="committed"}', 2],
    ['sagaz_inbox_handled_total{group="stock",type="stock.counted",outcome="duplicate"}', 1],
    ['sagaz_inbox_duplicates_total{group="stock",type="stock.counted"}', 1],
    ['sagaz_inbox_dead_letters_total{group="stock",type="stock.counted",reason="final"}', 1],
    [
      'sagaz_inbox_handler_seconds_count{group="stock",type="stock.counted",outcome="committed"}',
      2,
    ],
    ['sagaz_inbox_handled_total{group="stock",type="other",outcome="buried"}', 1],
    ['sagaz_saga_started_total{saga="measured"}', 3],
    ['sagaz_saga_ended_total{saga="measured",status="completed"}', 1],
    ['sagaz_saga_ended_total{saga="measured",status="compensated"}', 1],
    ['sagaz_saga_ended_total{saga="measured",status="needs_attention"}', 1],
    ['sagaz_saga_needs_attention_total{saga="measured",reason="compensation_failed"}', 1],
    ['sagaz_saga_seconds_count{saga="measured",status="compensated"}', 1],
    [
      'sagaz_saga_step_seconds_count{saga="measured",step="first",role="compensation",outcome="completed"}',
      1,
    ],
    [
      'sagaz_saga_step_seconds_count{saga="measured",step="second",role="step",outcome="failed"}',
      2,
    ],
    ['sagaz_process_broker_up', 1],
    ['sagaz_process_stuck_messages{kind="outbox",name="default"}', 0],
    ['sagaz_process_stuck_messages{kind="group",name="stock"}', 0],
    ['sagaz_process_stuck_messages{kind="group",name="stock.engine"}', 0],
    ['sagaz_store_sagas{connection="default",status="needs_attention"}', 1],
    ['sagaz_store_sagas{connection="default",status="running"}', 0],
    ['sagaz_store_outbox_messages{connection="default",status="dead_letter"}', 1],
    ['sagaz_store_inbox_dead_letters{connection="default"}', 2],
    ['sagaz_store_landing_messages{connection="default",group="stock"}', 0],
    ['sagaz_store_landing_oldest_seconds{connection="default",group="stock"}', 0],
    ['sagaz_inbox_landed_total{group="stock"}', 0],
    ['sagaz_process_landing_paused{connection="default",group="stock",reason="breaker"}', 0],
    ['sagaz_process_landing_paused{connection="default",group="stock",reason="full"}', 0],
  ])('show %s', (sample, value) => {
    expect(samples.get(sample)).toBe(value);
  });

  it('have no name that nothing sets', () => {
    const silent = names.filter(
      (name) =>
        ![...samples].some(
          ([sample, value]) =>
            (sample === name ||
              sample.startsWith(`${name}{`) ||
              sample.startsWith(`${name}_count{`)) &&
            (value > 0 || name.startsWith('sagaz_store_')),
        ),
    );
    expect(silent, 'besides what only deaths of processes and bugs would set').toEqual(RARE);
  });

  it('count what only deaths of processes and bugs would tell', async () => {
    const observers = app.get(WorkObservers);
    const saga = { sagaId: 's', saga: 'measured', version: 1, createdAt: 0, traceparent: null };
    const attempt = { ...saga, role: 'step', step: 'first', item: null, attempt: 1 } as const;
    const facts = observers.facts('default');
    app.get(HandlerObservers).landed({ group: 'stock', count: 1 });
    facts.tell({ kind: 'store_failed', failure: 'refused' });
    facts.tell({ kind: 'saga_adopted', ...saga, from: 'another' });
    facts.tell({ kind: 'task_crashed', ...attempt, crashes: 1 });
    facts.tell({ kind: 'reply_ignored', ...saga, reason: 'wrong_source' });
    facts.tell({ kind: 'late_effect', ...attempt });
    const unserved = { name: 'old', version: 1, format: 1, more: false, oldestMs: 1, example: 's' };
    const connection = 'default';
    observers.unservedSagas({ connection, found: [{ ...unserved, name: 'gone', count: 7 }] });
    observers.unservedSagas({ connection, found: [{ ...unserved, count: 1 }] });
    facts.tell({ kind: 'engine_buried', incarnation: 'another' });
    facts.tell({ kind: 'engine_died', incarnation: 'mine' });
    observers.lost('default', 1);
    observers.replyDropped({ reason: 'malformed' });
    observers.brokerFailed({ failure: 'refused' });
    observers.extensionFailed({ group: 'stock' });
    const now = samplesOf(await register.metrics());
    for (const name of RARE) {
      const values = [...now].filter(
        ([sample]) => sample === name || sample.startsWith(`${name}{`),
      );
      expect(
        values.map(([, value]) => value).filter((value) => value > 0),
        name,
      ).toEqual([1]);
    }
  });

  it('have had every counter since before the first event, but those of topics', async () => {
    const made = (await counterSeries()).filter((series) => !first.includes(series));
    expect(made.filter((series) => !/[{,]topic="[^"]/.test(series))).toEqual([]);
  });

  it('leave no gauge behind that asks the stores of an application that has ended', async () => {
    const other = await NestFactory.createApplicationContext(
      appModule({ databases: [{ url: db.url }], imports: [Monitoring] }),
      { logger: ['error', 'fatal'] },
    );
    await other.close();
    expect(await register.metrics()).not.toContain('sagaz_store_');
  });
});
