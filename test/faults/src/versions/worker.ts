import { setTimeout as sleep } from 'node:timers/promises';
import { SagaEngine, systemClock as clock } from '@sagaz/core';
import { Program, type Call } from '@sagaz/core/testing';
import { postgres } from '@sagaz/postgres';
import pg from 'pg';
import { endWithParent, tellParent, workerLogger as logger } from '../processes/index.js';
import type { VersionPlan, VersionReport, VersionRequest } from './protocol.js';

const tell = (report: VersionReport): void => tellParent(report);

/** What a step of a build that knows signals returns to wait for one. */
const FOR_SIGNAL = { waitForSignal: true };

async function main({ url, schema, build }: VersionPlan): Promise<void> {
  endWithParent();
  const pool = new pg.Pool({ connectionString: url, max: 3, query_timeout: 10_000 });
  pool.on('error', () => undefined);
  const effect = async ({ context, input }: Call): Promise<string> => {
    await sleep(Math.random() * stepMsOf(input));
    await pool.query('INSERT INTO app.effect (saga, step, build) VALUES ($1, $2, $3)', [
      context.sagaId,
      context.step,
      build,
    ]);
    return context.step;
  };
  const retry = { attempts: 100, backoffMs: 20, maxDelayMs: 200 };
  const program = new Program({
    name: 'versions',
    maxCrashes: 1_000,
    steps: {
      first: { retry, run: effect },
      second: {
        dependsOn: ['first'],
        retry,
        run: async (call) => {
          const output = await effect(call);
          return build === 'new' && asksForSignal(call.input) ? FOR_SIGNAL : output;
        },
      },
      third: { dependsOn: ['second'], retry, run: effect },
    },
  });
  const environment = { service: 'versions', logger, clock };
  const store = await postgres({ url, schema, pool: { max: 5 } }).create(environment);
  await store.start({ migrate: build === 'new' });
  const instance = program.instance();
  const engine = new SagaEngine({
    service: 'versions',
    store,
    definitions: [program.definition],
    resolve: () => instance,
    logger,
    looksForUnserved: false,
    settings: { ttlMs: 2_000, pollMs: 200, ownedCheckMs: 1_000 },
  });
  process.on('message', ({ saga, signal, stepMs }: VersionRequest) => {
    engine.start(program.definition, { signal, stepMs }, { idempotencyKey: saga }).then(
      ({ id }) => tell({ kind: 'started', saga, id }),
      (error: unknown) => logger.warn('A saga was not started.', { error: String(error) }),
    );
  });
  await engine.run();
  process.once('SIGTERM', () => {
    void engine
      .close()
      .then(() => store.close())
      .then(() => process.exit(0));
  });
  tell({ kind: 'ready' });
}

function stepMsOf(input: unknown): number {
  const told = typeof input === 'object' && input !== null && 'stepMs' in input;
  return told && typeof input.stepMs === 'number' ? input.stepMs : 0;
}

function asksForSignal(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'signal' in input && input.signal === true;
}

try {
  await main(JSON.parse(process.argv[2] ?? '') as VersionPlan);
} catch (error) {
  logger.error('The worker could not start.', {}, error);
  process.exit(1);
}
