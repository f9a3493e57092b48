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
import { BrokerState, WorkObservers } from '../lifecycle/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK } from '../tokens/index.js';

const KEEP_MS = 5_000;
const WITHIN_MS = 2_000;
const UP = 'sagaz_process_broker_up';
const FAILURES_TOTAL = 'sagaz_process_broker_failures_total';
const EXTENSION_FAILURES_TOTAL = 'sagaz_process_broker_extension_failures_total';
/** A record, so that the compiler reports a missing member here when the type gets a new one. */
const FAILURES: Readonly<Record<StoreFailure, true>> = { refused: true, away: true, failed: true };

/**
 * Shows whether this process reaches its broker, and counts failed tries to connect and subscribe, and to extend
 * deliveries.
 */
@Injectable()
export class ProcessBroker implements OnModuleInit, OnModuleDestroy {
  readonly #state: BrokerState | null;

  constructor(
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(WorkObservers) observers: WorkObservers,
    @InjectMetric(FAILURES_TOTAL) private readonly failures: Counter<'failure'>,
    @InjectMetric(EXTENSION_FAILURES_TOTAL) extensions: Counter,
  ) {
    const options = { clock, keepMs: KEEP_MS, withinMs: WITHIN_MS };
    this.#state = broker === null ? null : new BrokerState(broker, options);
    observers.add({
      brokerFailed: ({ failure }) => {
        failures.inc({ failure });
      },
      extensionFailed: () => {
        extensions.inc();
      },
    });
  }

  /** Whether the broker can be reached; undefined: this process has no broker. Never rejects. */
  async up(): Promise<boolean | undefined> {
    if (this.#state === null) return undefined;
    return (await this.#state.now()).state === 'up';
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
  makeCounterProvider({
    name: EXTENSION_FAILURES_TOTAL,
    help: 'Extensions of deliveries that the broker did not take; where they go on failing, messages are delivered once more while they are handled.',
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
