import { Inject, Injectable, type OnModuleInit, type Provider } from '@nestjs/common';
import {
  InjectMetric,
  makeCounterProvider,
  makeGaugeProvider,
  makeHistogramProvider,
} from '@willsoto/nestjs-prometheus';
import type { RelayObserver } from '@sagaz/core';
import type { Counter, Gauge, Histogram } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { WorkObservers } from '../lifecycle/index.js';
import { SECONDS } from './buckets.js';

export const relayMetrics: Provider[] = [
  makeCounterProvider({
    name: 'sagaz_outbox_written_total',
    help: 'Messages committed to the outbox by this process.',
    labelNames: ['connection'],
  }),
  makeCounterProvider({
    name: 'sagaz_outbox_lost_total',
    help: 'Messages published in a transaction that was committed without them. Anything but 0 is a bug.',
    labelNames: ['connection'],
  }),
  makeCounterProvider({
    name: 'sagaz_relay_published_total',
    help: 'Messages of the outbox that the broker has acknowledged to this process.',
    labelNames: ['connection'],
  }),
  makeCounterProvider({
    name: 'sagaz_relay_failed_total',
    help: 'Attempts to publish a message that failed and count against it.',
    labelNames: ['connection', 'topic', 'outcome'],
  }),
  makeCounterProvider({
    name: 'sagaz_relay_timeouts_total',
    help: 'Messages whose publishing was not answered in time.',
    labelNames: ['connection'],
  }),
  makeCounterProvider({
    name: 'sagaz_relay_pauses_total',
    help: 'Pauses because the broker, or one topic of it, took nothing.',
    labelNames: ['connection', 'topic'],
  }),
  makeCounterProvider({
    name: 'sagaz_relay_dead_letters_total',
    help: 'Messages of the outbox given up by this process.',
    labelNames: ['connection', 'topic', 'reason'],
  }),
  makeHistogramProvider({
    name: 'sagaz_relay_publish_seconds',
    help: 'How long the broker took to answer a batch.',
    labelNames: ['connection'],
    buckets: SECONDS,
  }),
  makeHistogramProvider({
    name: 'sagaz_relay_lag_seconds',
    help: 'How long a message lay in the outbox before this process had published it.',
    labelNames: ['connection'],
    buckets: SECONDS,
  }),
  makeGaugeProvider({
    name: 'sagaz_relay_leased_slots',
    help: 'Slots of the outbox this process relays now.',
    labelNames: ['connection'],
  }),
];

type One = 'connection';

/** Counts messages that are written to outboxes and published from them. */
@Injectable()
export class RelayMetrics implements OnModuleInit {
  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @Inject(Connections) private readonly connections: Connections,
    @InjectMetric('sagaz_outbox_written_total') private readonly written: Counter<One>,
    @InjectMetric('sagaz_outbox_lost_total') private readonly lost: Counter<One>,
    @InjectMetric('sagaz_relay_published_total') private readonly published: Counter<One>,
    @InjectMetric('sagaz_relay_failed_total')
    private readonly failed: Counter<One | 'topic' | 'outcome'>,
    @InjectMetric('sagaz_relay_timeouts_total') private readonly timeouts: Counter<One>,
    @InjectMetric('sagaz_relay_pauses_total') private readonly pauses: Counter<One | 'topic'>,
    @InjectMetric('sagaz_relay_dead_letters_total')
    private readonly deadLetters: Counter<One | 'topic' | 'reason'>,
    @InjectMetric('sagaz_relay_publish_seconds') private readonly seconds: Histogram<One>,
    @InjectMetric('sagaz_relay_lag_seconds') private readonly lag: Histogram<One>,
    @InjectMetric('sagaz_relay_leased_slots') private readonly slots: Gauge<One>,
  ) {
    observers.add({
      written: (connection, count) => {
        written.inc({ connection }, count);
      },
      lost: (connection, count) => {
        lost.inc({ connection }, count);
      },
      relay: (connection) => this.#observe(connection),
    });
  }

  /**
   * All series are created at the start, since a series that appears with its first event hides that
   * event from `increase()`.
   */
  onModuleInit(): void {
    for (const { name: connection } of this.connections.all) {
      for (const counter of [this.written, this.lost, this.published, this.timeouts]) {
        counter.inc({ connection }, 0);
      }
      // The series without a topic counts pauses of the whole broker. Topics are not known before a
      // message goes to them.
      this.pauses.inc({ connection, topic: '' }, 0);
      this.seconds.zero({ connection });
      this.lag.zero({ connection });
      this.slots.inc({ connection }, 0);
    }
  }

  #observe(connection: string): RelayObserver {
    // The labels are bound once, because these counters are used for every message or batch.
    const published = this.published.labels({ connection });
    const seconds = this.seconds.labels({ connection });
    const lag = this.lag.labels({ connection });
    const slots = this.slots.labels({ connection });
    return {
      published: (acknowledged, _sent, durationMs) => {
        published.inc(acknowledged);
        seconds.observe(durationMs / 1_000);
      },
      failed: ({ topic }, _attempt, outcome) => {
        this.failed.inc({ connection, topic, outcome });
      },
      deadLettered: ({ topic }, reason) => {
        this.deadLetters.inc({ connection, topic, reason });
      },
      paused: (topic) => {
        this.pauses.inc({ connection, topic: topic ?? '' });
      },
      timedOut: (messages) => {
        this.timeouts.inc({ connection }, messages);
      },
      lag: (ms) => {
        lag.observe(ms / 1_000);
      },
      leases: (count) => {
        slots.set(count);
      },
    };
  }
}
