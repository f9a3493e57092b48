import { Inject, Injectable, type OnModuleInit, type Provider } from '@nestjs/common';
import { InjectMetric, makeCounterProvider } from '@willsoto/nestjs-prometheus';
import { factHandlers, type StoreFailure } from '@sagaz/core';
import type { Counter } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { WorkObservers } from '../lifecycle/index.js';

export const failureMetrics: Provider[] = [
  makeCounterProvider({
    name: 'sagaz_database_failures_total',
    help: 'Uses of the database that failed and are tried again: refused (a person has to change something), away (nobody answers) or failed.',
    labelNames: ['connection', 'worker', 'failure'],
  }),
];

const WORKERS = ['engine', 'relay', 'consumers', 'replies'] as const;
/** A record, so that the compiler reports a missing member here when the type gets a new one. */
const FAILURES: Readonly<Record<StoreFailure, true>> = { refused: true, away: true, failed: true };

/** Counts the failed uses of the database by background work. */
@Injectable()
export class FailureMetrics implements OnModuleInit {
  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @Inject(Connections) private readonly connections: Connections,
    @InjectMetric('sagaz_database_failures_total')
    private readonly failures: Counter<'connection' | 'worker' | 'failure'>,
  ) {
    observers.add({
      facts: (connection) =>
        factHandlers({
          store_failed: ({ failure }) =>
            this.failures.inc({ connection, worker: 'engine', failure }),
        }),
      relay: (connection) => ({
        storeFailed: ({ failure }) => {
          this.failures.inc({ connection, worker: 'relay', failure });
        },
      }),
      inboxFailed: ({ connection, failure }) => {
        this.failures.inc({ connection, worker: 'consumers', failure });
      },
      repliesFailed: ({ connection, failure }) => {
        this.failures.inc({ connection, worker: 'replies', failure });
      },
    });
  }

  /**
   * All series are created at the start, since a series that appears with its first event hides that
   * event from `increase()`.
   */
  onModuleInit(): void {
    for (const { name: connection } of this.connections.all) {
      for (const worker of WORKERS) {
        for (const failure of Object.keys(FAILURES)) {
          this.failures.inc({ connection, worker, failure }, 0);
        }
      }
    }
  }
}
