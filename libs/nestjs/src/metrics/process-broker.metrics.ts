import {
  Inject,
  Injectable,
  type OnModuleDestroy,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { InjectMetric, makeCounterProvider, makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import type { Broker, Clock, StoreFailure } from '@sagaz/core';
import { register, type Counter } from 'prom-client';
import { RecentAnswer, WorkObservers } from '../lifecycle/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK } from '../tokens/index.js';

const KEEP_MS = 5_000;
const WITHIN_MS = 2_000;
const UP = 'sagaz_process_broker_up';
const FAILURES_TOTAL = 'sagaz_process_broker_failures_total';
/** A record, so that the compiler reports a missing member here when the type gets a new one. */
const FAILURES: Readonly<Record<StoreFailure, true>> = { refused: true, away: true, failed: true };

/** Shows whether this process reaches its broker, and counts failed tries to connect and subscribe. */
@Injectable()
export class ProcessBroker implements OnModuleInit, OnModuleDestroy {
  readonly #answer: RecentAnswer<void> | null;

  constructor(
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(WorkObservers) observers: WorkObservers,
    @InjectMetric(FAILURES_TOTAL) private readonly failures: Counter<'failure'>,
  ) {
    const options = { clock, keepMs: KEEP_MS, withinMs: WITHIN_MS };
    this.#answer = broker === null ? null : new RecentAnswer(() => broker.health(), options);
    observers.add({
      brokerFailed: ({ failure }) => {
        failures.inc({ failure });
      },
    });
  }

  /** Whether the broker can be reached; undefined: this process has no broker. Never rejects. */
  async up(): Promise<boolean | undefined> {
    if (this.#answer === null) return undefined;
    return (await this.#answer.now()).kind === 'answer';
  }

  /**
   * All series are created at the start, since a series that appears with its first event hides that
   * event from `increase()`.
   */
  onModuleInit(): void {
    for (const failure of Object.keys(FAILURES)) this.failures.inc({ failure }, 0);
  }

  /** The registry outlives the application, but the broker that this gauge asks does not. */
  onModuleDestroy(): void {
    register.removeSingleMetric(UP);
  }
}

export const processBrokerMetrics: Provider[] = [
  makeCounterProvider({
    name: FAILURES_TOTAL,
    help: 'Tries of this process to connect to the broker, or to subscribe a group at it, that failed and are made again: refused (a person has to change something), away (nobody answers) or failed.',
    labelNames: ['failure'],
  }),
  makeGaugeProvider({
    name: UP,
    help: 'Whether this process reaches its broker: 1 or 0; absent where it has none.',
    inject: [ProcessBroker],
    async collect(broker: ProcessBroker) {
      const up = await broker.up();
      if (up === undefined) this.remove();
      else this.set(up ? 1 : 0);
    },
  }),
];
