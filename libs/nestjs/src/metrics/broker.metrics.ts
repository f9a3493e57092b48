import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import { errorText, type Broker, type Clock, type GroupLag, type Logger } from '@sagaz/core';
import { register } from 'prom-client';
import { BrokerAbsentError } from '../broker/index.js';
import { RecentAnswer } from '../lifecycle/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';

/** How long an answer is reused, in ms. Every process of every service asks the same question. */
const KEEP_MS = 15_000;
const WITHIN_MS = 2_000;

/** Asks the broker for the lag of consumer groups when the metrics are scraped. */
@Injectable()
export class BrokerBacklog implements OnModuleDestroy {
  readonly #lag: RecentAnswer<readonly GroupLag[] | undefined>;

  constructor(
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(SAGAZ_LOGGER) logger: Logger,
  ) {
    this.#lag = new RecentAnswer(async () => broker?.lag(), {
      clock,
      keepMs: KEEP_MS,
      withinMs: WITHIN_MS,
      failed: (error) => {
        // That the broker is absent is in the log already.
        if (error instanceof BrokerAbsentError) return;
        logger.warn(
          'The lag of consumer groups could not be read from the broker; its metrics are left out until it can.',
          {
            error: errorText(error),
          },
        );
      },
    });
  }

  /** Returns the lag; undefined: there is no broker, or it does not answer now. Never rejects. */
  async now(): Promise<readonly GroupLag[] | undefined> {
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

/** A gauge of the topics that consumer groups have joined, or of those that no group has. */
function gaugeOf(
  name: (typeof NAMES)[number],
  about: string,
  joined: boolean,
  valueOf: (lag: GroupLag) => number,
): Provider {
  return makeGaugeProvider({
    name,
    help: `${about} The same in every process: take max() and not sum().`,
    labelNames: joined ? ['group', 'topic'] : ['topic'],
    inject: [BrokerBacklog],
    async collect(backlog: BrokerBacklog) {
      const lags = await backlog.now();
      // Numbers that cannot be read now are left out.
      this.reset();
      // A topic without a group comes with its first message, and an alert needs a series before that.
      if (!joined && lags !== undefined) this.set({}, 0);
      for (const lag of lags ?? []) {
        const { group, topic } = lag;
        if ((group !== null) !== joined) continue;
        this.set(group === null ? { topic } : { group, topic }, valueOf(lag));
      }
    },
  });
}

const messages = (lag: GroupLag): number => lag.messages;
const seconds = (lag: GroupLag): number => lag.oldestAgeMs / 1_000;

export const brokerMetrics: Provider[] = [
  gaugeOf(
    NAMES[0],
    'Messages of a topic that a consumer group of the broker has before it, counted up to 100,000.',
    true,
    messages,
  ),
  gaugeOf(
    NAMES[1],
    'Age of the oldest message of a topic that a consumer group has before it.',
    true,
    seconds,
  ),
  gaugeOf(
    NAMES[2],
    'Messages in a topic that no consumer group has joined, counted up to 100,000.',
    false,
    messages,
  ),
  gaugeOf(
    NAMES[3],
    'Age of the oldest message in a topic that no consumer group has joined.',
    false,
    seconds,
  ),
];
