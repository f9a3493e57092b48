import { Inject, Injectable, type Provider } from '@nestjs/common';
import { InjectMetric, makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import type { UnservedQueue } from '@sagaz/core';
import type { Gauge } from 'prom-client';
import { WorkObservers } from '../lifecycle/index.js';

export const unservedMetrics: Provider[] = [
  makeGaugeProvider({
    name: 'sagaz_unserved_queues',
    help: 'Queues that no process has served for a minute or longer although messages wait in them, by kind. The same in every process of a service: take max() and not sum().',
    labelNames: ['kind'],
  }),
  makeGaugeProvider({
    name: 'sagaz_unserved_oldest_seconds',
    help: 'How long the oldest message of an unserved queue has waited. The same in every process of a service: take max() and not sum().',
    labelNames: ['kind', 'name'],
  }),
];

/** Written as a record, so that the compiler reports a missing member here when there is a new kind. */
const KINDS: Readonly<Record<UnservedQueue['kind'], true>> = {
  outbox: true,
  group: true,
  topic: true,
};

/** Gauges of queues whose messages no process takes. */
@Injectable()
export class UnservedMetrics {
  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @InjectMetric('sagaz_unserved_queues') private readonly queues: Gauge<'kind'>,
    @InjectMetric('sagaz_unserved_oldest_seconds') private readonly oldest: Gauge<'kind' | 'name'>,
  ) {
    observers.add({
      unserved: (queues) => {
        this.#tell(queues);
      },
    });
    this.#tell([]);
  }

  #tell(queues: readonly UnservedQueue[]): void {
    for (const kind of Object.keys(KINDS)) {
      this.queues.set({ kind }, queues.filter((queue) => queue.kind === kind).length);
    }
    // A queue that is served again, or removed, must not keep its old number.
    this.oldest.reset();
    for (const { kind, name, oldestMs } of queues) {
      this.oldest.set({ kind, name }, oldestMs / 1_000);
    }
  }
}
