import {
  Relay,
  replyMail,
  SagaEngine,
  systemClock as clock,
  type Broker,
  type BrokerHealth,
  type Message,
  type PublishOutcome,
} from '@sagaz/core';
import { planTrial, programOf, type Program } from '@sagaz/core/testing';
import { postgres } from '@sagaz/postgres';
import pg from 'pg';
import { AppTransactions } from '../app-transactions.js';
import { endWithParent, tellParent, workerLogger as logger } from '../processes/index.js';
import { FarWorld } from './far-world.js';
import { sagaName, type TrialReport, type TrialRequest, type TrialWorkerPlan } from './protocol.js';
import { SCHEMA } from './tables.js';

const CLOSE_MS = 8_000;
const RELAY = { leaseTtlMs: 4_000, pollIntervalMs: 500, publishTimeoutMs: 2_000 };

const tell = (report: TrialReport): void => tellParent(report);

/** Hands messages to the world outside. Replies come to the mailbox by another way. */
class OutsideBroker implements Broker {
  readonly name = 'outside';
  readonly orderedBatches = true;
  readonly keepsRetries = true;

  constructor(private readonly world: FarWorld) {}

  async publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]> {
    await this.world.publish(batch);
    return batch.map(() => ({ kind: 'acknowledged' }));
  }

  subscribe(): Promise<never> {
    return Promise.reject(new TypeError('Nobody subscribes here.'));
  }

  async ensure(): Promise<[]> {
    return [];
  }

  async health(): Promise<BrokerHealth> {
    return { state: 'up', since: new Date(0), forMs: 0 };
  }

  async lag(): Promise<[]> {
    return [];
  }

  async close(): Promise<void> {}
}

function programs({ firstSeed, trials }: TrialWorkerPlan, world: FarWorld): Map<string, Program> {
  const all = new Map<string, Program>();
  for (let seed = firstSeed; seed < firstSeed + trials; seed += 1) {
    const { sagas } = planTrial(seed);
    const names = sagas.map((_, at) => sagaName(seed, at));
    const near = world.ofTrial(names);
    for (const [at, saga] of sagas.entries()) {
      const name = sagaName(seed, at);
      all.set(name, programOf(saga, at, near, name));
    }
  }
  return all;
}

/** The application's own time limits are its own business: these are what a careful one sets. */
function appPool(url: string): pg.Pool {
  const limits = { connectionTimeoutMillis: 5_000, query_timeout: 10_000 };
  const pool = new pg.Pool({ connectionString: url, max: 4, ...limits });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

async function main(plan: TrialWorkerPlan): Promise<void> {
  endWithParent();
  const world = new FarWorld();
  const known = programs(plan, world);
  const instances = new Map([...known.values()].map((one) => [one.definition, one.instance()]));
  const environment = { service: 'random', logger, clock };
  const driver = postgres({ url: plan.url, schema: SCHEMA, pool: { max: 6 } });
  const store = await driver.create(environment);
  await store.start({ migrate: false });
  const pool = appPool(plan.url);
  const engine = new SagaEngine({
    service: 'random',
    store,
    definitions: [...instances.keys()],
    resolve: (definition) => instances.get(definition) ?? {},
    stepTransactions: new AppTransactions(pool, store),
    logger,
    settings: plan.settings,
  });
  const { outbox, wakeUps } = store;
  const broker = new OutsideBroker(world);
  const relay = new Relay({ broker, clock, logger, replyMail, settings: RELAY, outbox, wakeUps });
  process.on('message', (request: TrialRequest) => {
    switch (request.kind) {
      case 'answer':
        world.answered(request.number, request.value, request.refusal);
        return;
      case 'start': {
        const { saga } = request;
        const program = known.get(saga);
        if (program === undefined) throw new TypeError(`There is no saga ${saga}.`);
        engine.start(program.definition, null, { idempotencyKey: saga }).then(
          ({ id }) => tell({ kind: 'started', saga, id }),
          (error: unknown) => logger.warn('A saga was not started.', { error: String(error) }),
        );
        return;
      }
      case 'ask':
        // Needed or not, and refused where it makes no sense.
        engine[request.request](request.id, 'random').catch(() => undefined);
        return;
      case 'look':
        tell({ kind: 'held', sagas: engine.sagasHere, steps: engine.stepsRunning });
        return;
    }
  });
  await relay.start();
  await engine.run();
  process.once('SIGTERM', () => {
    void Promise.allSettled([engine.close(), relay.close(CLOSE_MS)])
      .then(() => store.close())
      // The application's pool would wait for the connections of steps that never end.
      .then(() => process.exit(0));
  });
  tell({ kind: 'ready' });
}

try {
  await main(JSON.parse(process.argv[2] ?? '') as TrialWorkerPlan);
} catch (error) {
  logger.error('The worker could not start.', {}, error);
  process.exit(1);
}
