import { Inject, Injectable, type OnModuleDestroy, type Provider } from '@nestjs/common';
import { makeGaugeProvider } from '@willsoto/nestjs-prometheus';
import { register } from 'prom-client';
import { Workers, type StuckMessages } from '../lifecycle/index.js';

const STUCK = 'sagaz_process_stuck_messages';

/** Shows how many messages this process has done and cannot remove. */
@Injectable()
export class StuckMetrics implements OnModuleDestroy {
  constructor(@Inject(Workers) private readonly workers: Workers) {}

  /** Each queue that this process works on, those without stuck messages included. */
  queues(): readonly StuckMessages[] {
    return this.workers.all.flatMap((worker) => worker.stuck?.() ?? []);
  }

  /** The registry outlives the application, but the workers that this gauge asks do not. */
  onModuleDestroy(): void {
    register.removeSingleMetric(STUCK);
  }
}

export const stuckMetrics: Provider[] = [
  makeGaugeProvider({
    name: STUCK,
    help: 'Messages that this process has published or handled and cannot remove, though it can remove others; they may be published or delivered once more.',
    labelNames: ['kind', 'name'],
    inject: [StuckMetrics],
    collect(stuck: StuckMetrics) {
      for (const { kind, name, count } of stuck.queues()) this.set({ kind, name }, count);
    },
  }),
];
