import {
  InboxProcessor,
  LandingWorker,
  Relay,
  replyMail,
  replyTopicOf,
  SagaEngine,
  SagaRegistry,
  storeFailureOf,
  systemClock as clock,
  type Broker,
  type FaultPoints,
  type Logger,
  type Store,
} from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
import { AppTransactions } from './app-transactions.js';
import { handlerThrough, recordDeliveries } from './handlers.js';
import { lagging } from './lagging.js';
import { OrderSaga } from './order-saga.js';
import { refusing } from './refusing-broker.js';
import { BROKER_SCHEMA, ORDERS_SCHEMA, STOCK_SCHEMA } from './schema.js';

/** After this time the work of a process that died is taken over. */
const TTL_MS = 2_500;
const POLL_MS = 100;
const CLOSE_MS = 5_000;
/** How long a start is repeated while the server does not answer. */
const START_WITHIN_MS = 30_000;
const RELAY = {
  leaseTtlMs: TTL_MS,
  pollIntervalMs: POLL_MS,
  publishTimeoutMs: 1_500,
  maxPauseMs: 300,
  // Small, so that a batch is not all there is, and two at once: a key must wait for its own.
  batchSize: 5,
  concurrentBatches: 2,
};
/** Long enough for what follows a refused message to be published before it, if anything lets it. */
const RETRY_MS = 150;

/** Two services with their relays and the broker between them, all in this process. */
export class System {
  readonly orders: AppTransactions;
  readonly engine: SagaEngine;
  readonly #relays: readonly Relay[];
  readonly #inbox: InboxProcessor;
  #landings: readonly LandingWorker[] = [];

  private constructor(
    readonly pool: pg.Pool,
    private readonly ordersStore: Store,
    private readonly stockStore: Store,
    private readonly broker: Broker,
    private readonly logger: Logger,
    faults: FaultPoints,
    retryMs: number,
  ) {
    this.orders = new AppTransactions(pool, ordersStore);
    const registry = new SagaRegistry();
    registry.add(OrderSaga);
    const saga = new OrderSaga(pool);
    this.engine = new SagaEngine({
      service: 'orders',
      store: ordersStore,
      definitions: registry.all(),
      resolve: () => saga,
      stepTransactions: this.orders,
      logger,
      faults,
      settings: { ttlMs: 1_500, pollMs: POLL_MS, ownedCheckMs: 300, maxTransactions: 3 },
    });
    const retry = { attempts: 4, backoffMs: retryMs, factor: 1, maxDelayMs: retryMs, jitter: 0 };
    const settings = { ...RELAY, retry };
    const outgoing = lagging(refusing(broker, pool));
    const parts = { broker: outgoing, clock, logger, replyMail, faults, settings };
    this.#relays = [ordersStore, stockStore].map(
      ({ outbox, wakeUps }) => new Relay({ ...parts, outbox, wakeUps }),
    );
    const { inbox, outbox, transactions } = stockStore;
    this.#inbox = new InboxProcessor({
      inbox,
      outbox,
      transactions,
      service: 'stock',
      clock,
      logger,
      faults,
    });
  }

  static async open(
    url: string,
    logger: Logger,
    faults: FaultPoints,
    retryMs = RETRY_MS,
  ): Promise<System> {
    const environment = { service: 'system', logger, clock, faults };
    const store = async (schema: string): Promise<Store> => {
      const made = await postgres({ url, schema, pool: { max: 4 } }).create(environment);
      await answered(() => made.start({ migrate: false }));
      return made;
    };
    const plugin = postgresBroker({
      url,
      schema: BROKER_SCHEMA,
      migrate: false,
      leaseTtlMs: TTL_MS,
      pollIntervalMs: POLL_MS,
    });
    const [ordersStore, stockStore, broker] = await Promise.all([
      store(ORDERS_SCHEMA),
      store(STOCK_SCHEMA),
      answered(() => plugin.create(environment)),
    ]);
    const pool = new pg.Pool({ connectionString: url, max: 8 });
    return new System(pool, ordersStore, stockStore, broker, logger, faults, retryMs);
  }

  /** Subscribes before it relays: nothing is published that nobody has asked for yet. */
  async run(): Promise<void> {
    const stock = new AppTransactions(this.pool, this.stockStore);
    const handle = handlerThrough(this.#inbox, stock);
    for (const group of ['stock', 'order']) {
      await this.broker.subscribe({ group, topics: [group], concurrency: 4, handle });
    }
    const { inbox, wakeUps } = this.stockStore;
    const settings = { leaseTtlMs: TTL_MS, pollIntervalMs: POLL_MS };
    this.#landings = ['stock', 'order'].map(
      (group) =>
        new LandingWorker({
          group,
          inbox,
          clock,
          logger: this.logger,
          concurrency: 4,
          handle,
          wakeUps,
          settings,
        }),
    );
    for (const landing of this.#landings) await landing.start();
    await recordDeliveries(this.broker, this.pool);
    await this.broker.subscribe({
      group: 'orders.engine',
      topics: [replyTopicOf('orders')],
      concurrency: 4,
      handle: async ({ message }) => {
        await this.ordersStore.sagas.putMail([replyMail(message)]);
        this.ordersStore.wakeUps.hint('saga');
        return { kind: 'done' };
      },
    });
    for (const relay of this.#relays) await relay.start();
    await answered(() => this.engine.run());
  }

  /** Waits for the work that is under way. */
  async close(): Promise<void> {
    const relays = this.#relays.map((relay) => relay.close(CLOSE_MS));
    const landings = this.#landings.map((landing) => landing.close(CLOSE_MS));
    await Promise.all([this.engine.close(), this.broker.close(), ...landings, ...relays]);
  }
}

/**
 * Repeats what a start does while the server does not answer, as an application does: the limits are so
 * short here that a busy machine may miss them, and a run is not about that.
 */
async function answered<T>(attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + START_WITHIN_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (storeFailureOf(error) !== 'away' || performance.now() > end) throw error;
    }
  }
}
