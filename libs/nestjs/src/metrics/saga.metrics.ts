import { Inject, Injectable, type OnModuleInit, type Provider } from '@nestjs/common';
import {
  InjectMetric,
  makeCounterProvider,
  makeHistogramProvider,
} from '@willsoto/nestjs-prometheus';
import {
  factHandlers,
  FINAL_STATUSES,
  type AttentionReason,
  type FactListener,
  type IgnoredReply,
  type SagaDefinition,
} from '@sagaz/core';
import type { Counter, Histogram } from 'prom-client';
import { Connections } from '../enlist/index.js';
import { WorkObservers, type DroppedReply } from '../lifecycle/index.js';
import { SagaSet } from '../sagas/index.js';
import { SAGA_SECONDS, SECONDS } from './buckets.js';

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
    help: 'From the start of a saga to its end, waits and other processes included.',
    labelNames: ['saga', 'status'],
    buckets: SAGA_SECONDS,
  }),
  makeHistogramProvider({
    name: 'sagaz_saga_step_seconds',
    help: 'How long an attempt took, by step, role (step, compensation, ...) and outcome.',
    labelNames: ['saga', 'step', 'role', 'outcome'],
    buckets: SECONDS,
  }),
  makeHistogramProvider({
    name: 'sagaz_saga_step_wait_seconds',
    help: 'How long attempts waited from when they could have begun until their method was called.',
    labelNames: ['connection'],
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
    name: 'sagaz_saga_replies_ignored_total',
    help: 'Replies that did not count, by the reason.',
    labelNames: ['saga', 'reason'],
  }),
  makeCounterProvider({
    name: 'sagaz_saga_replies_dropped_total',
    help: 'Replies that were dropped because no saga here could be told of them, by the reason.',
    labelNames: ['reason'],
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

const DROPPED: Readonly<Record<DroppedReply, true>> = {
  malformed: true,
  unknown_saga: true,
  untrusted: true,
};
/** The statuses in which a saga stays until a person acts, or for good. */
const ENDS = [...FINAL_STATUSES, 'needs_attention'] as const;
/**
 * Written as a record, so that the compiler reports a missing member here when the engine gets a new
 * reason.
 */
const REASONS: Readonly<Record<AttentionReason, true>> = {
  compensation_failed: true,
  recovery_failed: true,
  pivot_unknown: true,
  definition_changed: true,
  late_effect: true,
  journal_refused: true,
  journal_unreadable: true,
};

const IGNORED: Readonly<Record<IgnoredReply, true>> = {
  unreadable: true,
  not_awaited: true,
  unknown_command: true,
  wrong_source: true,
  earlier_attempt: true,
  repeated: true,
  unsigned: true,
  bad_signature: true,
};

/** Counts the events of engines. */
@Injectable()
export class SagaMetrics implements OnModuleInit {
  constructor(
    @Inject(WorkObservers) observers: WorkObservers,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SagaSet) private readonly sagas: SagaSet,
    @InjectMetric('sagaz_saga_started_total') private readonly started: Counter<'saga'>,
    @InjectMetric('sagaz_saga_ended_total') private readonly ended: Counter<'saga' | 'status'>,
    @InjectMetric('sagaz_saga_seconds') private readonly seconds: Histogram<'saga' | 'status'>,
    @InjectMetric('sagaz_saga_step_seconds')
    private readonly stepSeconds: Histogram<Step | 'role' | 'outcome'>,
    @InjectMetric('sagaz_saga_step_wait_seconds')
    private readonly stepWaits: Histogram<'connection'>,
    @InjectMetric('sagaz_saga_transitions_total')
    private readonly transitions: Counter<'connection'>,
    @InjectMetric('sagaz_saga_flush_seconds') private readonly flushes: Histogram<'connection'>,
    @InjectMetric('sagaz_saga_adopted_total') private readonly adopted: Counter<'saga'>,
    @InjectMetric('sagaz_saga_step_crashes_total') private readonly stepCrashes: Counter<Step>,
    @InjectMetric('sagaz_saga_needs_attention_total')
    private readonly attention: Counter<'saga' | 'reason'>,
    @InjectMetric('sagaz_saga_replies_ignored_total')
    private readonly repliesIgnored: Counter<'saga' | 'reason'>,
    @InjectMetric('sagaz_saga_replies_dropped_total')
    private readonly repliesDropped: Counter<'reason'>,
    @InjectMetric('sagaz_saga_late_effects_total') private readonly lateEffects: Counter<Step>,
    @InjectMetric('sagaz_engine_crashes_total') private readonly crashes: Counter<'connection'>,
    @InjectMetric('sagaz_engine_returns_total') private readonly returns: Counter<'connection'>,
  ) {
    observers.add({
      facts: (connection) => this.#listener(connection),
      replyDropped: ({ reason }) => {
        this.repliesDropped.inc({ reason });
      },
    });
  }

  /**
   * All series whose labels are known are created at the start. A series that appears with its first
   * event begins at 1, so `increase()` sees no rise and no alert fires for that event.
   */
  onModuleInit(): void {
    for (const reason of Object.keys(DROPPED)) this.repliesDropped.inc({ reason }, 0);
    for (const connection of this.connections.all) {
      const { name } = connection;
      for (const counter of [this.transitions, this.crashes, this.returns]) {
        counter.inc({ connection: name }, 0);
      }
      this.flushes.zero({ connection: name });
      this.stepWaits.zero({ connection: name });
      for (const definition of this.sagas.of(connection)) this.#zero(definition);
    }
  }

  #zero({ name: saga, steps }: SagaDefinition): void {
    this.started.inc({ saga }, 0);
    this.adopted.inc({ saga }, 0);
    for (const status of ENDS) {
      this.ended.inc({ saga, status }, 0);
      this.seconds.zero({ saga, status });
    }
    for (const reason of Object.keys(REASONS)) this.attention.inc({ saga, reason }, 0);
    for (const reason of Object.keys(IGNORED)) this.repliesIgnored.inc({ saga, reason }, 0);
    for (const step of steps.keys()) {
      this.stepCrashes.inc({ saga, step }, 0);
      this.lateEffects.inc({ saga, step }, 0);
    }
  }

  #listener(connection: string): FactListener {
    const transitions = this.transitions.labels({ connection });
    const flushes = this.flushes.labels({ connection });
    const stepWaits = this.stepWaits.labels({ connection });
    return factHandlers({
      saga_started: ({ saga }) => this.started.inc({ saga }),
      saga_ended: (fact) => this.#ended(fact),
      saga_needs_attention: (fact) => {
        const { saga, reason } = fact;
        this.attention.inc({ saga, reason });
        this.#ended({ ...fact, status: 'needs_attention' });
      },
      saga_unreadable: ({ saga, reason, parked }) => {
        // Another fact says when it comes to need a person.
        if (parked) this.attention.inc({ saga, reason });
      },
      attempt_began: ({ queuedMs }) => stepWaits.observe(queuedMs / 1_000),
      attempt_ended: ({ saga, step, role, outcome, durationMs }) =>
        this.stepSeconds.observe({ saga, step, role, outcome }, durationMs / 1_000),
      transitions_flushed: ({ size, durationMs }) => {
        transitions.inc(size);
        flushes.observe(durationMs / 1_000);
      },
      saga_adopted: ({ saga }) => this.adopted.inc({ saga }),
      task_crashed: ({ saga, step }) => this.stepCrashes.inc({ saga, step }),
      reply_ignored: ({ saga, reason }) => this.repliesIgnored.inc({ saga, reason }),
      late_effect: ({ saga, step }) => this.lateEffects.inc({ saga, step }),
      engine_buried: () => this.crashes.inc({ connection }),
      engine_died: () => this.returns.inc({ connection }),
    });
  }

  #ended(end: {
    readonly saga: string;
    readonly status: (typeof ENDS)[number];
    readonly durationMs: number;
  }): void {
    const { saga, status, durationMs } = end;
    this.ended.inc({ saga, status });
    this.seconds.observe({ saga, status }, durationMs / 1_000);
  }
}
