import { Inject, Injectable, type OnModuleInit, type Provider } from '@nestjs/common';
import { InjectMetric, makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import type { UnservedQueue, UnservedSagas } from '@sagaz/core';
import type { Gauge } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { WorkObservers } from '../lifecycle/index.js';
import { SagaSet } from '../sagas/index.js';

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
  makeGaugeProvider({
    name: 'sagaz_unserved_sagas',
    help: 'Due sagas whose name and version no living engine runs, as this process last saw. The series without a saga is 0 while this process looks. Take max() and not sum().',
    labelNames: ['connection', 'saga', 'version'],
  }),
];

/** Written as a record, so that the compiler reports a missing member here when there is a new kind. */
const KINDS: Readonly<Record<UnservedQueue['kind'], true>> = {
  outbox: true,
  group: true,
  topic: true,
  landing: true,
};

interface SagaLabels {
  readonly connection: string;
  readonly saga: string;
  readonly version: number;
}

/** Gauges of queues whose messages no process takes, and of due sagas that no engine takes. */
@Injectable()
export class UnservedMetrics implements OnModuleInit {
  /** The series of sagas that each connection has now. */
  readonly #told = new Map<string, readonly SagaLabels[]>();

  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SagaSet) private readonly sagaSet: SagaSet,
    @InjectMetric('sagaz_unserved_queues') private readonly queues: Gauge<'kind'>,
    @InjectMetric('sagaz_unserved_oldest_seconds') private readonly oldest: Gauge<'kind' | 'name'>,
    @InjectMetric('sagaz_unserved_sagas')
    private readonly sagas: Gauge<'connection' | 'saga' | 'version'>,
  ) {
    observers.add({
      unserved: (queues) => {
        this.#queues(queues);
      },
      unservedSagas: ({ connection, found }) => {
        this.#sagas(connection, found);
      },
    });
    this.#queues([]);
  }

  /** The gauge of sagas is there from the first scrape on, also in a process that has none. */
  onModuleInit(): void {
    for (const { name } of this.connections.all) this.#sagas(name, []);
  }

  #queues(queues: readonly UnservedQueue[]): void {
    for (const kind of Object.keys(KINDS)) {
      this.queues.set({ kind }, queues.filter((queue) => queue.kind === kind).length);
    }
    // A queue that is served again, or removed, must not keep its old number.
    this.oldest.reset();
    for (const { kind, name, oldestMs } of queues) {
      this.oldest.set({ kind, name }, oldestMs / 1_000);
    }
  }

  /** A process that may not look has no series, since 0 would say that it found nothing. */
  #sagas(connection: string, found: readonly UnservedSagas[] | null): void {
    for (const labels of this.#told.get(connection) ?? []) this.sagas.remove(labels);
    this.#told.delete(connection);
    if (found === null) {
      this.sagas.remove({ connection });
      return;
    }
    this.sagas.set({ connection }, 0);
    const own = this.sagaSet
      .of(this.connections.get(connection))
      .map(({ name, version }) => ({ name, version, count: 0 }));
    // A version may be found once for each format that no engine reads.
    const now = new Map<string, { readonly labels: SagaLabels; count: number }>();
    for (const { name, version, count } of [...own, ...found]) {
      const key = JSON.stringify([name, version]);
      const labels = { connection, saga: name, version };
      now.set(key, { labels, count: (now.get(key)?.count ?? 0) + count });
    }
    for (const { labels, count } of now.values()) this.sagas.set(labels, count);
    this.#told.set(
      connection,
      [...now.values()].map(({ labels }) => labels),
    );
  }
}
