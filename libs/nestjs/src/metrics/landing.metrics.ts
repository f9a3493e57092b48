import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { InjectMetric, makeCounterProvider, makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import { register, type Counter } from 'prom-client';
import { HandlerObservers, HandlerSet, SagazServer } from '../handlers/index.js';
import { Workers, type LandingQueueState } from '../lifecycle/index.js';

const PAUSED = 'sagaz_process_landing_paused';

/** Counts what lands, and shows which groups take no messages in this process. */
@Injectable()
export class LandingMetrics implements OnModuleDestroy {
  constructor(
    @Inject(HandlerObservers) observers: HandlerObservers,
    @Inject(HandlerSet) handlers: HandlerSet,
    @Inject(SagazServer) server: SagazServer,
    @Inject(Workers) private readonly workers: Workers,
    @InjectMetric('sagaz_inbox_landed_total') landed: Counter<'group'>,
  ) {
    observers.add({
      ended: () => undefined,
      landed: ({ group, count }) => {
        landed.inc({ group }, count);
      },
    });
    // A series that appears with its first event hides that event from `increase()`.
    server.whenListening(() => {
      for (const group of handlers.groups) landed.inc({ group }, 0);
    });
  }

  queues(): readonly LandingQueueState[] {
    return this.workers.all.flatMap((worker) => worker.landings?.() ?? []);
  }

  /** The registry outlives the application, but the workers that this gauge asks do not. */
  onModuleDestroy(): void {
    register.removeSingleMetric(PAUSED);
  }
}

export const landingMetrics: Provider[] = [
  makeCounterProvider({
    name: 'sagaz_inbox_landed_total',
    help: 'Messages that were put into the landing queue of their group.',
    labelNames: ['group'],
  }),
  makeGaugeProvider({
    name: PAUSED,
    help: 'Whether a consumer group takes no messages of the broker in this process: 1 while nearly everything fails (breaker), or while its landing queue is full (full).',
    labelNames: ['connection', 'group', 'reason'],
    inject: [LandingMetrics],
    collect(landing: LandingMetrics) {
      for (const { connection, group, open, full } of landing.queues()) {
        this.set({ connection, group, reason: 'breaker' }, open ? 1 : 0);
        this.set({ connection, group, reason: 'full' }, full ? 1 : 0);
      }
    },
  }),
];
