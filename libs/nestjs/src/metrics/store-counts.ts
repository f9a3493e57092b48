import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import {
  errorText,
  isFinal,
  SAGA_STATUSES,
  SharedCounts,
  type Clock,
  type KeptCounts,
  type Logger,
} from '@sagaz/core';
import { register, type Gauge } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { RecentAnswer } from '../lifecycle/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';

/** How often one process counts for all of them. */
const EVERY_MS = 5_000;
/** Older counts are left out. */
const STALE_MS = 60_000;
/** All gauges of a scrape read the same counts. */
const KEEP_MS = 1_000;
/**
 * The longest wait for a count, in ms. All gauges wait at the same time, so a scrape takes this long
 * while the database hangs.
 */
const WITHIN_MS = 2_000;
const OUTBOX_STATUSES = ['pending', 'delayed', 'retrying', 'held', 'dead_letter'] as const;

/** Shows how many sagas and messages are in the stores, as one process counted them for all. */
@Injectable()
export class StoreCounts implements OnModuleDestroy {
  readonly #looks: readonly {
    readonly name: string;
    readonly counts: RecentAnswer<KeptCounts | null>;
  }[];

  constructor(
    @Inject(Connections) connections: Connections,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(SAGAZ_LOGGER) logger: Logger,
  ) {
    this.#looks = connections.all.map(({ name, store }) => {
      const shared = new SharedCounts(store, { clock, everyMs: EVERY_MS, staleMs: STALE_MS });
      const failed = (error: unknown): void => {
        // The failure is only logged, because the process's own metrics are needed most when its
        // database is away.
        logger.warn(
          'The sagas and messages in the store could not be counted; their metrics are left out until they can.',
          { connection: name, error: errorText(error) },
        );
      };
      const options = { clock, keepMs: KEEP_MS, withinMs: WITHIN_MS, failed };
      return { name, counts: new RecentAnswer(() => shared.latest(), options) };
    });
  }

  /**
   * Returns the counts by connection, without the connections that do not answer now. Never rejects.
   */
  async now(): Promise<ReadonlyMap<string, KeptCounts>> {
    const all = new Map<string, KeptCounts>();
    const looking = this.#looks.map(async ({ name, counts }) => {
      const counted = await counts.now();
      if (counted.kind === 'answer' && counted.value !== null) all.set(name, counted.value);
    });
    await Promise.all(looking);
    return all;
  }

  /** The registry outlives the application, but the stores that these gauges ask do not. */
  onModuleDestroy(): void {
    for (const name of NAMES) register.removeSingleMetric(name);
  }
}

type Fill = (gauge: Gauge, connection: string, counts: KeptCounts) => void;

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
      // Numbers that cannot be read now are left out, since an old number would look like a current
      // one.
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
  'sagaz_store_counts_age_seconds',
  'sagaz_store_landing_messages',
  'sagaz_store_landing_oldest_seconds',
] as const;

export const storeCountMetrics: Provider[] = [
  gaugeOf(
    NAMES[0],
    'Sagas in the store that have not ended, by status.',
    ['status'],
    (gauge, connection, { sagas }) => {
      for (const status of SAGA_STATUSES) {
        if (!isFinal(status)) gauge.set({ connection, status }, sagas.get(status) ?? 0);
      }
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
    (gauge, connection, { oldestPendingMs }) => {
      gauge.set({ connection }, (oldestPendingMs ?? 0) / 1_000);
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
  gaugeOf(
    NAMES[4],
    'How long ago the other sagaz_store_ metrics were counted, by one process for all.',
    [],
    (gauge, connection, { ageMs }) => {
      gauge.set({ connection }, ageMs / 1_000);
    },
  ),
  gaugeOf(
    NAMES[5],
    'Messages that wait in the landing queue of a consumer group, dead letters left out.',
    ['group'],
    (gauge, connection, { landings }) => {
      for (const { group, waiting } of landings) gauge.set({ connection, group }, waiting);
    },
  ),
  gaugeOf(
    NAMES[6],
    'How long the first of the messages in the landing queue of a consumer group has been there.',
    ['group'],
    (gauge, connection, { landings }) => {
      for (const { group, oldestMs } of landings) {
        gauge.set({ connection, group }, oldestMs / 1_000);
      }
    },
  ),
];
