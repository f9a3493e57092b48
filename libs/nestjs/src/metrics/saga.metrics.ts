import { Inject, Injectable, type Provider } from '@nestjs/common';
import {
  InjectMetric,
  makeCounterProvider,
  makeHistogramProvider,
} from '@willsoto/nestjs-prometheus';
import type { EngineObserver } from '@sagaz/core';
import type { Counter, Histogram } from 'prom-client';
import { WorkObservers } from '../lifecycle/index.js';
import { SECONDS } from './buckets.js';

export const sagaMetrics: Provider[] = [
  makeCounterProvider({
    name: 'sagaz_saga_started_total',
    help: 'Sagas started by this process.',
    labelNames: ['saga'],
  }),
  makeCounterProvider({
    name: 'sagaz_saga_ended_total',
    help: 'Sagas that ended in this process, or came to need a person, by their status.',
    labelNames: ['saga', 'status'],
  }),
  makeHistogramProvider({
    name: 'sagaz_saga_seconds',
    help: 'How long a saga took to its end, since this process had it.',
    labelNames: ['saga', 'status'],
    buckets: SECONDS,
  }),
  makeHistogramProvider({
    name: 'sagaz_saga_step_seconds',
    help: 'How long an attempt took, by step, role (step, compensation, ...) and outcome.',
    labelNames: ['saga', 'step', 'role', 'outcome'],
    buckets: SECONDS,
  }),
  makeCounterProvider({
    name: 'sagaz_saga_transitions_total',
    help: 'Transitions of sagas written by this process.',
    labelNames: ['connection'],
  }),
  makeHistogramProvider({
    name: 'sagaz_saga_flush_seconds',
    help: 'How long the database took to write a group of transitions.',
    labelNames: ['connection'],
    buckets: SECONDS,
  }),
  makeCounterProvider({
    name: 'sagaz_saga_adopted_total',
    help: 'Sagas this process took over from one that had died.',
    labelNames: ['saga'],
  }),
  makeCounterProvider({
    name: 'sagaz_saga_step_crashes_total',
    help: 'Steps found running whose process had died.',
    labelNames: ['saga', 'step'],
  }),
  makeCounterProvider({
    name: 'sagaz_saga_needs_attention_total',
    help: 'Sagas that came to need a person.',
    labelNames: ['saga', 'reason'],
  }),
  makeCounterProvider({
    name: 'sagaz_saga_late_effects_total',
    help: 'Steps whose effect came after their saga had ended or gone to another process.',
    labelNames: ['saga', 'step'],
  }),
  makeCounterProvider({
    name: 'sagaz_engine_crashes_total',
    help: 'Engines of other processes that this one found dead.',
    labelNames: ['connection'],
  }),
  makeCounterProvider({
    name: 'sagaz_engine_returns_total',
    help: 'How often the engine of this process was taken for dead and came back as a new one.',
    labelNames: ['connection'],
  }),
];

type Step = 'saga' | 'step';

/** Counts what engines do. */
@Injectable()
export class SagaMetrics {
  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @InjectMetric('sagaz_saga_started_total') private readonly started: Counter<'saga'>,
    @InjectMetric('sagaz_saga_ended_total') private readonly ended: Counter<'saga' | 'status'>,
    @InjectMetric('sagaz_saga_seconds') private readonly seconds: Histogram<'saga' | 'status'>,
    @InjectMetric('sagaz_saga_step_seconds')
    private readonly stepSeconds: Histogram<Step | 'role' | 'outcome'>,
    @InjectMetric('sagaz_saga_transitions_total')
    private readonly transitions: Counter<'connection'>,
    @InjectMetric('sagaz_saga_flush_seconds') private readonly flushes: Histogram<'connection'>,
    @InjectMetric('sagaz_saga_adopted_total') private readonly adopted: Counter<'saga'>,
    @InjectMetric('sagaz_saga_step_crashes_total') private readonly stepCrashes: Counter<Step>,
    @InjectMetric('sagaz_saga_needs_attention_total')
    private readonly attention: Counter<'saga' | 'reason'>,
    @InjectMetric('sagaz_saga_late_effects_total') private readonly lateEffects: Counter<Step>,
    @InjectMetric('sagaz_engine_crashes_total') private readonly crashes: Counter<'connection'>,
    @InjectMetric('sagaz_engine_returns_total') private readonly returns: Counter<'connection'>,
  ) {
    observers.add({ engine: (connection) => this.#observe(connection) });
  }

  #observe(connection: string): EngineObserver {
    const transitions = this.transitions.labels({ connection });
    const flushes = this.flushes.labels({ connection });
    return {
      sagaStarted: ({ saga }) => {
        this.started.inc({ saga });
      },
      sagaEnded: ({ saga, status, durationMs }) => {
        this.ended.inc({ saga, status });
        this.seconds.observe({ saga, status }, durationMs / 1_000);
      },
      attemptEnded: ({ saga, step, role, outcome, durationMs }) => {
        this.stepSeconds.observe({ saga, step, role, outcome }, durationMs / 1_000);
      },
      transitionsFlushed: ({ size, durationMs }) => {
        transitions.inc(size);
        flushes.observe(durationMs / 1_000);
      },
      sagaAdopted: ({ saga }) => {
        this.adopted.inc({ saga });
      },
      stepCrashed: ({ saga, step }) => {
        this.stepCrashes.inc({ saga, step });
      },
      needsAttention: ({ saga, reason }) => {
        this.attention.inc({ saga, reason });
      },
      lateEffect: ({ saga, step }) => {
        this.lateEffects.inc({ saga, step });
      },
      engineBuried: () => {
        this.crashes.inc({ connection });
      },
      declaredDead: () => {
        this.returns.inc({ connection });
      },
    };
  }
}
