import { Inject, Injectable, type OnModuleInit, type Provider } from '@nestjs/common';
import {
  InjectMetric,
  makeCounterProvider,
  makeHistogramProvider,
} from '@willsoto/nestjs-prometheus';
import type { BurialReason, InboxEvent, InboxOutcome } from '@sagaz/core';
import type { Counter, Histogram } from 'prom-client';
import {
  HandlerObservers,
  HandlerSet,
  SagazServer,
  type ForeignOutcome,
} from '../handlers/index.js';
import { IdempotentMethods } from '../transports/index.js';
import { SECONDS } from './buckets.js';

export const inboxMetrics: Provider[] = [
  makeCounterProvider({
    name: 'sagaz_inbox_handled_total',
    help: 'Deliveries that came to an end, by what came of them.',
    labelNames: ['group', 'type', 'outcome'],
  }),
  makeCounterProvider({
    name: 'sagaz_inbox_duplicates_total',
    help: 'Deliveries dropped because their message had been handled before.',
    labelNames: ['group', 'type'],
  }),
  makeCounterProvider({
    name: 'sagaz_inbox_dead_letters_total',
    help: 'Messages given up by this process.',
    labelNames: ['group', 'type', 'reason'],
  }),
  makeHistogramProvider({
    name: 'sagaz_inbox_handler_seconds',
    help: 'From a delivery to its outcome; duplicates left out.',
    labelNames: ['group', 'type', 'outcome'],
    buckets: SECONDS,
  }),
];

type Kind = 'group' | 'type';

/** Records, so that the compiler reports a missing member here when the inbox gets a new outcome. */
const OUTCOMES: Readonly<Record<InboxOutcome['kind'], true>> = {
  committed: true,
  duplicate: true,
  repeated: true,
  late: true,
  expired: true,
  refused: true,
  buried: true,
  landed: true,
  retry: true,
};
const REASONS: Readonly<Record<BurialReason, true>> = {
  exhausted: true,
  final: true,
  rejected: true,
  crashed: true,
  malformed: true,
  unsigned: true,
  bad_signature: true,
};
/** The same for `@Idempotent` methods. */
const FOREIGN_OUTCOMES: Readonly<Record<ForeignOutcome, true>> = {
  committed: true,
  duplicate: true,
  failed: true,
};
/**
 * The label for the type of a message that the group has no handler for, and for the pattern of a message
 * that a method with several patterns took by a wildcard.
 */
const OTHER = 'other';

/** Counts how the handling of messages ends. */
@Injectable()
export class InboxMetrics implements OnModuleInit {
  constructor(
    @Inject(HandlerObservers) observers: HandlerObservers,
    @Inject(HandlerSet) private readonly handlers: HandlerSet,
    @Inject(SagazServer) server: SagazServer,
    @Inject(IdempotentMethods) private readonly methods: IdempotentMethods,
    @InjectMetric('sagaz_inbox_handled_total') private readonly handled: Counter<Kind | 'outcome'>,
    @InjectMetric('sagaz_inbox_duplicates_total') private readonly duplicates: Counter<Kind>,
    @InjectMetric('sagaz_inbox_dead_letters_total')
    private readonly deadLetters: Counter<Kind | 'reason'>,
    @InjectMetric('sagaz_inbox_handler_seconds')
    private readonly seconds: Histogram<Kind | 'outcome'>,
  ) {
    observers.add({
      ended: (event) => {
        this.#count(event);
      },
      foreignEnded: ({ group, declared: type = OTHER, outcome, durationMs }) => {
        this.handled.inc({ group, type, outcome });
        if (outcome === 'duplicate') this.duplicates.inc({ group, type });
        else this.seconds.observe({ group, type, outcome }, durationMs / 1_000);
      },
    });
    // All handlers are known then, and no message has come.
    server.whenListening(() => {
      this.#zero();
    });
  }

  /**
   * Creates the series of `@Idempotent` methods, also where no transport of Sagaz listens: a series that
   * appears with its first event hides that event from `increase()`.
   */
  onModuleInit(): void {
    for (const { group, patterns } of this.methods.declared()) {
      for (const type of patterns.length > 1 ? [...patterns, OTHER] : patterns) {
        this.duplicates.inc({ group, type }, 0);
        for (const outcome of Object.keys(FOREIGN_OUTCOMES)) {
          this.handled.inc({ group, type, outcome }, 0);
        }
      }
    }
  }

  /** Creates the series of handlers, for the same reason. */
  #zero(): void {
    const kinds = this.handlers.all.map(({ inbox: { group, type } }) => ({ group, type }));
    const others = this.handlers.groups.map((group) => ({ group, type: OTHER }));
    for (const kind of [...kinds, ...others]) {
      this.duplicates.inc(kind, 0);
      for (const outcome of Object.keys(OUTCOMES)) this.handled.inc({ ...kind, outcome }, 0);
      for (const reason of Object.keys(REASONS)) this.deadLetters.inc({ ...kind, reason }, 0);
    }
  }

  #count({ message, group, outcome, durationMs }: InboxEvent): void {
    // Other services choose the types of messages that no handler takes, and must not thereby determine
    // the number of time series.
    const type = this.handlers.find(group, message.type) === undefined ? OTHER : message.type;
    this.handled.inc({ group, type, outcome: outcome.kind });
    if (outcome.kind === 'duplicate') {
      this.duplicates.inc({ group, type });
      return;
    }
    this.seconds.observe({ group, type, outcome: outcome.kind }, durationMs / 1_000);
    if (outcome.kind === 'buried') this.deadLetters.inc({ group, type, reason: outcome.reason });
  }
}
