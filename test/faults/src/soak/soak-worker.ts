import { pid } from 'node:process';
import {
  InboxProcessor,
  jsonCodec,
  LandingWorker,
  Relay,
  replyMail,
  replyTopicOf,
  SagaEngine,
  SagaRefusal,
  SagaRegistry,
  systemClock as clock,
  type Broker,
  type Delivery,
  type DeliveryOutcome,
  type HandledDelivery,
  type InboxHandler,
  type Logger,
  type Store,
} from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
import { AppTransactions, type AppTransaction } from '../app-transactions.js';
import { bodyOf, eventOf } from '../messages.js';
import { SoakSaga } from './soak-saga.js';
import { NOTE_KEYS, SCHEMAS } from './tables.js';
import { APP_STATEMENT_MS, TTL_MS } from './timings.js';
import type { WorkerPlan } from './worker-plan.js';

const POLL_MS = 500;
const CLOSE_MS = 8_000;
const NOTE_EVERY_MS = 1_000;
const RELAY = { leaseTtlMs: TTL_MS, pollIntervalMs: POLL_MS, publishTimeoutMs: 2_000 };
const HANDLER_RETRY = { attempts: 50, backoffMs: 100, factor: 2, maxDelayMs: 2_000, jitter: 0.5 };

interface Running {
  readonly engine: SagaEngine | null;
  /** Takes no more notes. */
  quiet(): void;
  close(): Promise<void>;
}

/** One process: an engine of the order service, the relays of both services, or the consumers. */
export class SoakWorker {
  private constructor(
    private readonly running: Running,
    private readonly parts: Parts,
  ) {}

  static async open(plan: WorkerPlan, logger: Logger): Promise<SoakWorker> {
    const parts = await Parts.open(plan, logger);
    try {
      return new SoakWorker(await run(plan, parts), parts);
    } catch (error) {
      await parts.close();
      throw error;
    }
  }

  async start(orderId: string): Promise<void> {
    const { engine } = this.running;
    if (engine === null) throw new TypeError('This process has no engine.');
    await engine.start(SoakSaga, { orderId }, { idempotencyKey: orderId });
  }

  quiet(): void {
    this.running.quiet();
  }

  async close(): Promise<void> {
    await this.running.close();
    await this.parts.close();
  }
}

function run(plan: WorkerPlan, parts: Parts): Promise<Running> {
  switch (plan.role) {
    case 'engine':
      return runEngine(parts);
    case 'relay':
      return runRelays(parts);
    case 'consumer':
      return runConsumers(parts);
  }
}

/** Stores, broker and the application's own connections of one process. */
class Parts {
  private constructor(
    readonly name: string,
    readonly logger: Logger,
    readonly pool: pg.Pool,
    readonly orders: Store,
    readonly stock: Store,
    readonly broker: Broker,
  ) {}

  static async open({ storeUrl, brokerUrl, name }: WorkerPlan, logger: Logger): Promise<Parts> {
    const environment = { service: name, logger, clock };
    const open: { close(): Promise<unknown> }[] = [];
    const kept = <T extends { close(): Promise<unknown> }>(one: T): T => {
      open.push(one);
      return one;
    };
    try {
      const store = async (schema: string): Promise<Store> => {
        const made = kept(
          await postgres({ url: storeUrl, schema, pool: { max: 6 } }).create(environment),
        );
        await made.start({ migrate: false });
        return made;
      };
      const orders = await store(SCHEMAS.orders);
      const stock = await store(SCHEMAS.stock);
      const broker = kept(
        await postgresBroker({
          url: brokerUrl,
          schema: SCHEMAS.broker,
          migrate: false,
          leaseTtlMs: TTL_MS,
          pollIntervalMs: POLL_MS,
        }).create(environment),
      );
      // The application's own time limits are its own business: these are what a careful one sets.
      const pool = new pg.Pool({
        connectionString: storeUrl,
        max: 8,
        connectionTimeoutMillis: 5_000,
        query_timeout: APP_STATEMENT_MS,
        statement_timeout: APP_STATEMENT_MS,
        application_name: name,
      });
      pool.on('error', () => undefined);
      pool.on('connect', (client) => client.on('error', () => undefined));
      return new Parts(name, logger, pool, orders, stock, broker);
    } catch (error) {
      await Promise.allSettled(open.map((one) => one.close()));
      throw error;
    }
  }

  /**
   * The broker first, also after a start that failed: a subscription that goes on with closed stores would
   * take messages and put them off again and again.
   */
  async close(): Promise<void> {
    await this.broker.close().catch(() => undefined);
    await Promise.allSettled([this.orders.close(), this.stock.close(), this.pool.end()]);
  }
}

async function runEngine(parts: Parts): Promise<Running> {
  const { pool, orders, broker, logger } = parts;
  const registry = new SagaRegistry();
  registry.add(SoakSaga);
  const saga = new SoakSaga(pool);
  const transactions = new AppTransactions(pool, orders);
  const engine = new SagaEngine({
    service: 'orders',
    store: orders,
    definitions: registry.all(),
    resolve: () => saga,
    stepTransactions: transactions,
    logger,
    settings: { ttlMs: TTL_MS, pollMs: POLL_MS, shutdownMs: CLOSE_MS },
  });
  await broker.subscribe({
    group: 'orders.engine',
    topics: [replyTopicOf('orders')],
    concurrency: 8,
    handle: async ({ message }) => {
      await orders.sagas.putMail([replyMail(message)]);
      orders.wakeUps.hint('saga');
      return { kind: 'done' };
    },
  });
  await engine.run();
  const stopNotes = takeNotes(transactions, logger);
  return {
    engine,
    quiet: stopNotes,
    close: async () => {
      stopNotes();
      await Promise.allSettled([engine.close(), broker.close()]);
    },
  };
}

/** Publishes a numbered note of each key now and then; the row's lock makes numbers the commit order. */
function takeNotes(transactions: AppTransactions, logger: Logger): () => void {
  let stopped = false;
  const take = async (): Promise<void> => {
    for (const key of NOTE_KEYS) {
      await transactions.begin(async (app) => {
        const { rows } = await app.query(
          'UPDATE app.note_key SET n = n + 1 WHERE key = $1 RETURNING n',
          [key],
        );
        const { n } = rows[0] as { readonly n: number };
        const message = eventOf('note.taken', key, { n });
        await app.query('INSERT INTO app.published VALUES ($1, $2, $3)', [message.id, key, n]);
        app.publish(message);
      });
    }
  };
  const loop = async (): Promise<void> => {
    while (!stopped) {
      // A note that is not taken leaves no trace: the next one has its number.
      await take().catch((error: unknown) =>
        logger.warn('A note was not taken.', { error: String(error) }),
      );
      await new Promise((resolve) => setTimeout(resolve, NOTE_EVERY_MS));
    }
  };
  void loop();
  return () => {
    stopped = true;
  };
}

async function runRelays({ orders, stock, broker, logger }: Parts): Promise<Running> {
  const relays = [orders, stock].map(
    ({ outbox, wakeUps }) =>
      new Relay({ broker, clock, logger, replyMail, settings: RELAY, outbox, wakeUps }),
  );
  for (const relay of relays) await relay.start();
  return {
    engine: null,
    quiet: () => undefined,
    close: async () => {
      await Promise.allSettled(relays.map((relay) => relay.close(CLOSE_MS)));
      await broker.close();
    },
  };
}

async function runConsumers({ name, pool, stock, broker, logger }: Parts): Promise<Running> {
  const { inbox, outbox, transactions } = stock;
  const app = new AppTransactions(pool, stock);
  const processor = new InboxProcessor({
    inbox,
    outbox,
    transactions,
    service: 'stock',
    clock,
    logger,
  });
  const handle = handlerThrough(processor, app);
  const groups = ['stock', 'order'];
  for (const group of groups) {
    await broker.subscribe({ group, topics: [group], concurrency: 8, handle });
  }
  await broker.subscribe({
    group: 'recorder',
    topics: ['note', 'order'],
    concurrency: 8,
    handle: (delivery) => record(pool, name, delivery),
  });
  const landings = groups.map(
    (group) =>
      new LandingWorker({
        group,
        inbox,
        clock,
        logger,
        concurrency: 8,
        handle,
        wakeUps: stock.wakeUps,
        settings: { leaseTtlMs: TTL_MS, pollIntervalMs: POLL_MS },
      }),
  );
  for (const landing of landings) await landing.start();
  const close = async (): Promise<void> => {
    await Promise.all([broker.close(), ...landings.map((landing) => landing.close(CLOSE_MS))]);
  };
  return { engine: null, quiet: () => undefined, close };
}

/** One statement, so that what is recorded and what was handled are the same. */
async function record(
  pool: pg.Pool,
  process: string,
  { message, attempt, afterDeath = false }: Delivery,
): Promise<DeliveryOutcome> {
  const beganAt = new Date();
  const { n } = bodyOf(message.payload);
  await pool.query(
    `INSERT INTO app.delivery (message_id, topic, key, n, process, pid, attempt, after_death, began_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [message.id, message.topic, message.key, n, process, pid, attempt, afterDeath, beganAt],
  );
  return { kind: 'done' };
}

/** The group is the topic's name. */
function handlerThrough(
  processor: InboxProcessor,
  transactions: AppTransactions,
): (delivery: Delivery) => Promise<HandledDelivery> {
  return (delivery) => {
    const { message, group } = delivery;
    const { type } = message;
    const handler: InboxHandler = { group, type, retry: HANDLER_RETRY, codec: jsonCodec };
    return processor.receive(delivery, handler, async (attempt) => {
      let app: AppTransaction | undefined;
      const unit = transactions.inboxUnit((opened) => (app = opened));
      await attempt.run(unit, async () => {
        if (app === undefined) throw new TypeError('The unit did not open its transaction.');
        const { orderId = '' } = bodyOf(message.payload);
        if (type === 'stock.reserve' && orderId.startsWith('refused')) {
          throw new SagaRefusal('out_of_stock', { orderId });
        }
        await app.query('INSERT INTO app.handler_effect VALUES ($1, $2, $3)', [
          message.id,
          type,
          orderId,
        ]);
        return type === 'stock.reserve' ? { reservation: `for ${orderId}` } : undefined;
      });
    });
  };
}
