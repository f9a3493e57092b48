import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import {
  errorText,
  type Backlog,
  type Broker,
  type BrokerLag,
  type Clock,
  type Logger,
} from '@sagaz/core';
import { register, type Gauge } from 'prom-client';
import { RecentAnswer } from '../lifecycle/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';

/** How long an answer is reused, in ms. Every process of every service asks the same question. */
const KEEP_MS = 15_000;
const WITHIN_MS = 2_000;

/** Asks the broker for the lag of consumer groups when the metrics are scraped. */
@Injectable()
export class BrokerBacklog implements OnModuleDestroy {
  readonly #lag: RecentAnswer<BrokerLag | undefined>;

  constructor(
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(SAGAZ_LOGGER) logger: Logger,
  ) {
    this.#lag = new RecentAnswer(async () => broker?.lag?.(), {
      clock,
      keepMs: KEEP_MS,
      withinMs: WITHIN_MS,
      failed: (error) => {
        logger.warn(
          'The lag of consumer groups could not be read from the broker; its metrics are left out until it can.',
          {
            error: errorText(error),
          },
        );
      },
    });
  }

  /** Returns the lag; undefined: the broker cannot tell it, or does not answer now. Never rejects. */
  async now(): Promise<BrokerLag | undefined> {
    const answer = await this.#lag.now();
    return answer.kind === 'answer' ? answer.value : undefined;
  }

  /** The registry outlives the application, but the broker that these gauges ask does not. */
  onModuleDestroy(): void {
    for (const name of NAMES) register.removeSingleMetric(name);
  }
}

const NAMES = [
  'sagaz_broker_group_messages',
  'sagaz_broker_group_oldest_seconds',
  'sagaz_broker_unrouted_messages',
  'sagaz_broker_unrouted_oldest_seconds',
] as const;

function gaugeOf(
  name: (typeof NAMES)[number],
  about: string,
  labelNames: readonly string[],
  fill: (gauge: Gauge, lag: BrokerLag) => void,
): Provider {
  return makeGaugeProvider({
    name,
    help: `${about} The same in every process: take max() and not sum().`,
    labelNames: [...labelNames],
    inject: [BrokerBacklog],
    async collect(backlog: BrokerBacklog) {
      const lag = await backlog.now();
      this.reset();
      // Numbers that cannot be read now are left out. A gauge without labels begins at 0 after its reset.
      if (lag !== undefined) fill(this, lag);
      else if (labelNames.length === 0) this.remove();
    },
  });
}

const seconds = ({ oldestMs }: Backlog): number => oldestMs / 1_000;

export const brokerMetrics: Provider[] = [
  gaugeOf(
    NAMES[0],
    'Messages that a consumer group of the broker has before it, counted up to 100,000.',
    ['group'],
    (gauge, { groups }) => {
      for (const { group, waiting } of groups) gauge.set({ group }, waiting);
    },
  ),
  gaugeOf(
    NAMES[1],
    'Age of the oldest message that a consumer group has before it.',
    ['group'],
    (gauge, { groups }) => {
      for (const lag of groups) gauge.set({ group: lag.group }, seconds(lag));
    },
  ),
  gaugeOf(
    NAMES[2],
    'Messages in topics that no consumer group has joined, counted up to 100,000.',
    [],
    (gauge, { unrouted }) => gauge.set(unrouted.waiting),
  ),
  gaugeOf(
    NAMES[3],
    'Age of the oldest message in topics that no consumer group has joined.',
    [],
    (gauge, { unrouted }) => gauge.set(seconds(unrouted)),
  ),
];
