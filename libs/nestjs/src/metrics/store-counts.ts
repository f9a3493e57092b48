import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import {
  SAGA_STATUSES,
  type Clock,
  type Logger,
  type SagaStatus,
  type Store,
  errorText,
} from '@sagaz/core';
import { register, type Gauge } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';

/** Scrapers are many; counting rows is not free. */
const KEEP_MS = 5_000;
const OUTBOX_STATUSES = ['pending', 'delayed', 'retrying', 'held', 'dead_letter'] as const;

interface Counts {
  readonly sagas: ReadonlyMap<SagaStatus, number>;
  readonly outbox: ReadonlyMap<string, number>;
  readonly oldestMs: number;
  readonly deadLetters: number;
}

async function countIn(store: Store): Promise<Counts> {
  const [sagas, { byStatus, oldestPendingMs }, deadLetters] = await Promise.all([
    store.sagas.countByStatus(),
    store.outbox.stats(),
    store.inbox.countDeadLetters(),
  ]);
  return { sagas, outbox: byStatus, oldestMs: oldestPendingMs ?? 0, deadLetters };
}

/** Counts what lies in the stores, when somebody asks. */
@Injectable()
export class StoreCounts implements OnModuleDestroy {
  #counted: { readonly at: number; readonly counts: Promise<ReadonlyMap<string, Counts>> } | null =
    null;

  constructor(
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
  ) {}

  /** By connection; without those that cannot be counted now. Never rejects. */
  now(): Promise<ReadonlyMap<string, Counts>> {
    const now = this.clock.now();
    if (this.#counted === null || now - this.#counted.at >= KEEP_MS) {
      this.#counted = { at: now, counts: this.#countAll() };
    }
    return this.#counted.counts;
  }

  /** The registry outlives the application, and the stores these gauges ask do not. */
  onModuleDestroy(): void {
    for (const name of NAMES) register.removeSingleMetric(name);
  }

  async #countAll(): Promise<ReadonlyMap<string, Counts>> {
    const all = new Map<string, Counts>();
    const counting = this.connections.all.map(async ({ name, store }) => {
      try {
        all.set(name, await countIn(store));
      } catch (error) {
        // The process's own metrics are wanted most when its database is away.
        this.logger.warn('What lies in the store could not be counted for its metrics.', {
          connection: name,
          error: errorText(error),
        });
      }
    });
    await Promise.all(counting);
    return all;
  }
}

type Fill = (gauge: Gauge, connection: string, counts: Counts) => void;

function gaugeOf(
  name: (typeof NAMES)[number],
  about: string,
  labels: readonly string[],
  fill: Fill,
): Provider {
  return makeGaugeProvider({
    name,
    help: `${about} The same in every process: take max() and not sum().`,
    labelNames: ['connection', ...labels],
    inject: [StoreCounts],
    async collect(store: StoreCounts) {
      const counted = await store.now();
      // What cannot be counted now is not told: an old number would look like a true one.
      this.reset();
      for (const [connection, counts] of counted) fill(this, connection, counts);
    },
  });
}

const NAMES = [
  'sagaz_store_sagas',
  'sagaz_store_outbox_messages',
  'sagaz_store_outbox_oldest_seconds',
  'sagaz_store_inbox_dead_letters',
] as const;

export const storeCountMetrics: Provider[] = [
  gaugeOf(
    NAMES[0],
    'Sagas in the store, by status.',
    ['status'],
    (gauge, connection, { sagas }) => {
      for (const status of SAGA_STATUSES) gauge.set({ connection, status }, sagas.get(status) ?? 0);
    },
  ),
  gaugeOf(
    NAMES[1],
    'Messages in the outbox, by status.',
    ['status'],
    (gauge, connection, { outbox }) => {
      for (const status of OUTBOX_STATUSES) {
        gauge.set({ connection, status }, outbox.get(status) ?? 0);
      }
    },
  ),
  gaugeOf(
    NAMES[2],
    'How long the oldest message that may be published has been in the outbox.',
    [],
    (gauge, connection, { oldestMs }) => {
      gauge.set({ connection }, oldestMs / 1_000);
    },
  ),
  gaugeOf(
    NAMES[3],
    'Dead letters of consumers in the store.',
    [],
    (gauge, connection, { deadLetters }) => {
      gauge.set({ connection }, deadLetters);
    },
  ),
];
