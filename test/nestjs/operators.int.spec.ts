import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import {
  Compensate,
  NonRetryableError,
  Saga,
  SagaEndedError,
  SagaOf,
  SagaStep,
  Sagas,
  command,
  defineCommand,
  type SagaView,
} from '@sagaz/nestjs';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { register } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startApp } from './app.js';
import { MessageBench } from './message-bench.js';

const Reserve = defineCommand<{ readonly id: string }>()('stock.reserve');

@Saga({ name: 'order' })
@Injectable()
class OrderSaga extends SagaOf<{ readonly id: string }> {
  @SagaStep()
  reserve() {
    return command(Reserve, { id: 'x' });
  }

  @SagaStep({ retry: { attempts: 2, backoff: '1h', jitter: 0 } })
  async charge(): Promise<void> {
    await Promise.reject(new Error('The card processor did not answer.'));
  }

  @SagaStep({ dependsOn: ['reserve', 'charge'] })
  async confirm(): Promise<void> {
    // Never reached.
  }
}

@Saga({ name: 'stuck' })
@Injectable()
class StuckSaga extends SagaOf<undefined> {
  @SagaStep()
  async first(): Promise<void> {
    // Done at once.
  }

  @Compensate('first')
  async undoFirst(): Promise<void> {
    await Promise.reject(new NonRetryableError('It cannot be undone.'));
  }

  @SagaStep({ dependsOn: ['first'] })
  async second(): Promise<void> {
    await Promise.reject(new NonRetryableError('No.'));
  }
}

@Saga({ name: 'quick' })
@Injectable()
class QuickSaga extends SagaOf<undefined> {
  @SagaStep()
  async only(): Promise<void> {
    // Done at once.
  }
}

@Module({ imports: [PrometheusModule.register(), SagazMetricsModule] })
class Monitoring {}

const SAGAS = [OrderSaga, StuckSaga, QuickSaga];
const server = postgresServers()[0]!;

describe('an operator', () => {
  let db: TestDatabase;
  let app: INestApplicationContext | undefined;

  beforeAll(async () => {
    db = await createDatabase(server);
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });
  afterAll(() => db.drop());

  async function start(engine: boolean): Promise<Sagas> {
    register.clear();
    // Each application closes its own.
    const bench = new MessageBench();
    app = await startApp({
      databases: [{ url: db.url }],
      providers: SAGAS,
      imports: [Monitoring],
      sagaz: { broker: bench.driver, roles: { engine, relay: false, consume: false } },
    });
    return app.get(Sagas);
  }

  async function untilFound(
    sagas: Sagas,
    id: string,
    is: (view: SagaView) => boolean,
  ): Promise<SagaView> {
    for (;;) {
      const view = await sagas.get(id);
      if (view !== null && is(view)) return view;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('finds what each saga waits for: a reply and until when, an attempt and why it is one more', async () => {
    const sagas = await start(true);
    const { id } = await sagas.start(OrderSaga, { id: '1' });
    const view = await untilFound(
      sagas,
      id,
      ({ waitsFor }) =>
        waitsFor.every(({ waitsFor: what }) => what.kind !== 'attempt') && waitsFor.length === 2,
    );
    expect(view.reason).toBeNull();
    const byStep = new Map(view.waitsFor.map((task) => [task.step, task.waitsFor]));
    expect(byStep.get('reserve')).toMatchObject({ kind: 'reply', command: 'stock.reserve' });
    expect(byStep.get('charge')).toMatchObject({
      kind: 'next_attempt',
      error: 'The card processor did not answer.',
    });
    const [listed] = await sagas.find({ name: 'order' });
    expect(listed).toMatchObject({ id, waitsFor: view.waitsFor });
  });

  it('finds the reason and the step for which a saga needs a person, and reads its history', async () => {
    const sagas = await start(true);
    const { id } = await sagas.start(StuckSaga, undefined);
    await untilFound(sagas, id, ({ status }) => status === 'needs_attention');
    const [found, ...others] = await sagas.find({ statuses: ['needs_attention'] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id, reason: 'compensation_failed', step: 'first', waitsFor: [] });
    expect(found?.detail).toContain('It cannot be undone.');
    const history = await sagas.history(id);
    const failed = history.find(({ kind }) => kind === 'step_failed');
    expect(failed).toMatchObject({ step: 'second', data: { error: { message: 'No.' } } });
    await sagas.retry(id, 'It can be undone again.', 'ann');
    await untilFound(sagas, id, ({ revision }) => revision > (found?.revision ?? 0) + 1);
    const requested = (await sagas.history(id)).find(({ kind }) => kind === 'retry_requested');
    expect(requested?.data).toEqual({
      again: [{ role: 'compensation', step: 'first', item: null }],
      reason: 'It can be undone again.',
      actor: 'ann',
    });
    await untilFound(sagas, id, ({ status }) => status === 'needs_attention');
    await sagas.terminate(id, 'by a test', 'bob');
    await untilFound(sagas, id, ({ status }) => status === 'terminated');
    const ended = (await sagas.history(id)).find(({ kind }) => kind === 'saga_ended');
    expect(ended?.data).toMatchObject({ reason: 'by a test', actor: 'bob' });
    for (const request of ['cancel', 'retry', 'terminate'] as const) {
      await expect(sagas[request](id, 'why', 'x'.repeat(4_001))).rejects.toThrow(
        `Sagas.${request}: actor is`,
      );
    }
    await expect(sagas.retry(id)).rejects.toThrow(SagaEndedError);
    await expect(sagas.cancel(id)).rejects.toThrow(SagaEndedError);
    await expect(sagas.terminate(id)).rejects.toThrow(SagaEndedError);
  });

  it('is told how long a saga took from its start, whichever process had it when', async () => {
    const { id } = await (await start(false)).start(QuickSaga, undefined);
    await app?.close();
    const seen = new Observer(db.url);
    await seen.rows(
      `UPDATE sagaz.saga_journal SET recorded_at = recorded_at - interval '1 hour' WHERE saga_id = $1`,
      [id],
    );
    await seen.rows(
      `UPDATE sagaz.saga SET created_at = created_at - interval '1 hour' WHERE id = $1`,
      [id],
    );
    await seen.close();
    const sagas = await start(true);
    await untilFound(sagas, id, ({ status }) => status === 'completed');
    const sum = (text: string): number =>
      Number(/^sagaz_saga_seconds_sum\{saga="quick",status="completed"\} (\S+)$/m.exec(text)?.[1]);
    while (!(sum(await register.metrics()) > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(sum(await register.metrics())).toBeGreaterThanOrEqual(3_600);
  });
});
