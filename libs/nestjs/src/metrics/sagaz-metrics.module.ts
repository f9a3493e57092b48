import { Module } from '@nestjs/common';
import { BrokerBacklog, brokerMetrics } from './broker.metrics.js';
import { FailureMetrics, failureMetrics } from './failure.metrics.js';
import { InboxMetrics, inboxMetrics } from './inbox.metrics.js';
import { LandingMetrics, landingMetrics } from './landing.metrics.js';
import { ProcessBroker, processBrokerMetrics } from './process-broker.metrics.js';
import { RelayMetrics, relayMetrics } from './relay.metrics.js';
import { SagaMetrics, sagaMetrics } from './saga.metrics.js';
import { StoreCounts, storeCountMetrics } from './store-counts.js';
import { StuckMetrics, stuckMetrics } from './stuck.metrics.js';
import { UnservedMetrics, unservedMetrics } from './unserved.metrics.js';

/**
 * Counts what Sagaz does, in `prom-client`. Where the metrics are served is the application's choice:
 *
 * ```ts
 * @Module({ imports: [PrometheusModule.register(), SagazMetricsModule, SagazModule.forRoot({ … })] })
 * ```
 *
 * Counters, histograms, `sagaz_relay_leased_slots` and `sagaz_process_…` tell of this process: `sum()` them
 * over processes. `sagaz_store_…` tell what lies in the database, counted by one process for all, when somebody
 * asks and at most every 5 s, `sagaz_broker_…` what lies in the broker, at most every 15 s; every process tells the same, so take
 * `max()`. A scrape waits 2 s for them and then goes without. Two applications in one process share the
 * registry of `prom-client`, and with it their metrics.
 */
@Module({
  providers: [
    ...relayMetrics,
    ...inboxMetrics,
    ...landingMetrics,
    ...sagaMetrics,
    ...storeCountMetrics,
    ...brokerMetrics,
    ...processBrokerMetrics,
    ...stuckMetrics,
    ...unservedMetrics,
    ...failureMetrics,
    RelayMetrics,
    InboxMetrics,
    LandingMetrics,
    SagaMetrics,
    StoreCounts,
    BrokerBacklog,
    ProcessBroker,
    StuckMetrics,
    UnservedMetrics,
    FailureMetrics,
  ],
})
export class SagazMetricsModule {}
