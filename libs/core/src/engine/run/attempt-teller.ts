import type { AttemptOutcome, FactOf, SagaFacts } from '../facts/index.js';
import type { PlannedStart } from '../decide/index.js';
import type { EngineContext } from './engine-context.js';

type Teller = Pick<EngineContext, 'facts' | 'clock' | 'storeNow'>;

/**
 * Tells the beginning and the end of one attempt, each once; of an attempt whose method was never called,
 * one fact that it was withdrawn.
 */
export class AttemptTeller {
  readonly #engine: Teller;
  readonly #saga: SagaFacts;
  readonly #start: PlannedStart;
  /** When it was made, then when its method was last called, by the monotonic clock. */
  #since: number;
  #beginning: FactOf<'attempt_began'> | null = null;
  #stage: 'new' | 'began' | 'ended' = 'new';

  constructor(engine: Teller, saga: SagaFacts, start: PlannedStart) {
    this.#engine = engine;
    this.#saga = saga;
    this.#start = start;
    this.#since = engine.clock.now();
  }

  /** Its method is about to be called, perhaps once more. */
  began(): void {
    const { facts, clock } = this.#engine;
    this.#since = clock.now();
    if (this.#stage !== 'new') return;
    this.#stage = 'began';
    if (facts.wants('attempt_began')) facts.tell(this.beginning);
  }

  /** The fact that it began, which functions around it are given, too. */
  get beginning(): FactOf<'attempt_began'> {
    return (this.#beginning ??= this.#begin());
  }

  ended(outcome: AttemptOutcome): void {
    const before = this.#stage;
    if (before === 'ended') return;
    this.#stage = 'ended';
    const { facts, clock } = this.#engine;
    const kind = before === 'new' ? 'attempt_withdrawn' : 'attempt_ended';
    if (!facts.wants(kind)) return;
    const durationMs = clock.now() - this.#since;
    // Each field is named here and below, since spreads take many times as long and there are attempts in
    // plenty.
    const { sagaId, saga, version, createdAt, traceparent } = this.#saga;
    const { role, step, item, attempt } = this.#start;
    if (kind === 'attempt_withdrawn') {
      facts.tell({ kind, ...this.#saga, role, step, item, attempt, waitedMs: durationMs });
      return;
    }
    facts.tell({
      kind,
      sagaId,
      saga,
      version,
      createdAt,
      traceparent,
      role,
      step,
      item,
      attempt,
      outcome,
      durationMs,
    });
  }

  #begin(): FactOf<'attempt_began'> {
    const { sagaId, saga, version, createdAt, traceparent } = this.#saga;
    const { role, step, item, attempt, dueSince } = this.#start;
    return {
      kind: 'attempt_began',
      sagaId,
      saga,
      version,
      createdAt,
      traceparent,
      role,
      step,
      item,
      attempt,
      queuedMs: Math.max(0, this.#engine.storeNow() - dueSince),
    };
  }
}
