import { Module } from '@nestjs/common';
import { InboxMetrics, inboxMetrics } from './inbox.metrics.js';
import { RelayMetrics, relayMetrics } from './relay.metrics.js';
import { SagaMetrics, sagaMetrics } from './saga.metrics.js';

/**
 * Counts what Sagaz does, in `prom-client`. Where the metrics are served is the application's choice:
 *
 * ```ts
 * @Module({ imports: [PrometheusModule.register(), SagazMetricsModule, SagazModule.forRoot({ … })] })
 * ```
 *
 * Counters tell what this process did: `sum()` them over processes. Two applications in one process
 * share the registry of `prom-client`, and with it their counters.
 */
@Module({
  providers: [
    ...relayMetrics,
    ...inboxMetrics,
    ...sagaMetrics,
    RelayMetrics,
    InboxMetrics,
    SagaMetrics,
  ],
})
export class SagazMetricsModule {}
