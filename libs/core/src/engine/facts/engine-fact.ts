import type { ErrorRecord, StoreFailure } from '../../errors/index.js';
import type { FinalStatus } from '../../ports/index.js';
import type { AttentionReason, Failure, IgnoredReply, TaskRef } from '../journal/index.js';

/**
 * How an attempt ended. `timed_out` and `aborted`: it was told to stop, and may still have its effect
 * unless it is transactional.
 */
export type AttemptOutcome = 'completed' | 'command_sent' | 'failed' | 'timed_out' | 'aborted';

/** The saga that a fact is about. */
export interface SagaFacts {
  readonly sagaId: string;
  /** The name of its definition. */
  readonly saga: string;
  /** The version of its definition. */
  readonly version: number;
  /**
   * When it was started, by the store's clock, in milliseconds since 1970; null: its journal cannot be
   * read.
   */
  readonly createdAt: number | null;
  /**
   * `traceparent` (W3C Trace Context) of the work that started it; null: that had none, or the journal
   * cannot be read.
   */
  readonly traceparent: string | null;
}

/** The step, compensation or recovery that a fact is about; `item` is null where the step has no items. */
export interface TaskFacts extends SagaFacts, TaskRef {}

/** The attempt that a fact is about. */
export interface AttemptFacts extends TaskFacts {
  /** From 1, counted for each step, compensation and recovery (and item) by itself. */
  readonly attempt: number;
}

/** What is told of each kind of fact, beside its kind. */
export interface FactFields {
  /** This engine has begun to run a saga that was started just now, here. The start is committed. */
  saga_started: SagaFacts;
  /**
   * This engine has loaded a saga from the store, to run it. `found`: it was `claimed` (it is new, due, has
   * mail, or its engine died), or this engine was its owner already (`owned`). `queuedMs`: since it was
   * started or its time had come; null: it waited for neither.
   */
  saga_claimed: SagaFacts & {
    readonly found: 'claimed' | 'owned';
    readonly queuedMs: number | null;
  };
  /** The saga was taken over from an engine that had died (`from`). Told after `saga_claimed`. */
  saga_adopted: SagaFacts & { readonly from: string };
  /**
   * This engine does not run the saga any more, which goes on, here or elsewhere, when mail comes for it
   * or in `dueInMs` milliseconds; null: only when mail comes.
   */
  saga_given_back: SagaFacts & { readonly dueInMs: number | null };
  /** The saga goes forward no more. */
  saga_failing: SagaFacts & { readonly failure: Failure };
  /** The saga begins to undo what it did. */
  saga_compensating: SagaFacts;
  /**
   * This engine owns a saga that it cannot run: its journal cannot be read here, or its definition is
   * missing. Each engine that comes to own the saga tells this once. `parked`: the journal says already
   * that a person is needed; otherwise `saga_needs_attention` follows, once that is written.
   */
  saga_unreadable: SagaFacts & {
    readonly reason: AttentionReason;
    readonly detail: string;
    readonly parked: boolean;
    readonly error: unknown;
  };
  /**
   * The saga needs a person. `durationMs`: since its start, by the store's clock. `unreadable`: told before
   * as `saga_unreadable`.
   */
  saga_needs_attention: SagaFacts & {
    readonly reason: AttentionReason;
    readonly detail: string;
    readonly durationMs: number;
    readonly unreadable: boolean;
  };
  /** The saga has ended. `durationMs`: since its start, by the store's clock, waits included. */
  saga_ended: SagaFacts & { readonly status: FinalStatus; readonly durationMs: number };
  /**
   * The method of an attempt is about to be called. Its start is in the journal. `queuedMs`: since it could
   * have begun: all that it depends on was done, and its delay after a failure was over. It waited for a
   * permit, for an engine, for its start to be written, for outputs to be read, or for a connection.
   */
  attempt_began: AttemptFacts & { readonly queuedMs: number };
  /**
   * An attempt that began has ended, for this process: its method has settled, or it was told to stop and
   * is not waited for any more. Its result is not in the journal yet, unless the attempt is transactional
   * and `completed`. `durationMs`: of its method alone; of a transaction that ran several times, of the
   * last run.
   */
  attempt_ended: AttemptFacts & {
    readonly outcome: AttemptOutcome;
    readonly durationMs: number;
  };
  /**
   * An attempt ended before its method was called: it got no connection in time, or its saga went on
   * without it. It is not counted. `waitedMs`: how long it waited for its connection and for outputs.
   */
  attempt_withdrawn: AttemptFacts & { readonly waitedMs: number };
  /**
   * The journal says that an attempt failed, by itself or by the reply that it waited for. `next`: another
   * attempt follows (after `delayMs`, which is null otherwise), the task has `failed` for good, or it is
   * `unknown` whether it had its effect and it is given up.
   */
  task_failed: AttemptFacts & {
    readonly error: ErrorRecord;
    readonly next: 'attempt' | 'failed' | 'unknown';
    readonly delayMs: number | null;
  };
  /** An attempt was found running whose process had died. `crashes`: so often since its last progress. */
  task_crashed: AttemptFacts & { readonly crashes: number };
  /** A reply came that does not count; the saga goes on waiting for one that does. */
  reply_ignored: SagaFacts & { readonly reason: IgnoredReply };
  /** An attempt succeeded after its saga had ended or had been taken over by another engine. */
  late_effect: AttemptFacts;
  /** `size` transitions were written together. `durationMs`: how long the write took. */
  transitions_flushed: { readonly size: number; readonly durationMs: number };
  /** The store failed a request that the engine will repeat. */
  store_failed: { readonly failure: StoreFailure };
  /** This engine was declared dead as `incarnation`; it stops all work and returns as a new one. */
  engine_died: { readonly incarnation: string };
  /** This engine declared another one dead. */
  engine_buried: { readonly incarnation: string };
}

/** The kind of a fact: `saga_started`, `attempt_began` and so on. */
export type FactKind = keyof FactFields;

/** A fact of one kind, or of one of several kinds. */
export type FactOf<Kind extends FactKind> = {
  [One in Kind]: { readonly kind: One } & FactFields[One];
}[Kind];

/**
 * Something that an engine has done or seen. Each is told once, by the engine in which it happened and when
 * it is so: facts that a transition brings about, after its commit. Of one attempt the beginning comes
 * before the end. A fact is lost if the process dies before it is told; what counts is in the journal.
 */
export type EngineFact = FactOf<FactKind>;

const KINDS: Readonly<Record<FactKind, true>> = {
  saga_started: true,
  saga_claimed: true,
  saga_adopted: true,
  saga_given_back: true,
  saga_failing: true,
  saga_compensating: true,
  saga_unreadable: true,
  saga_needs_attention: true,
  saga_ended: true,
  attempt_began: true,
  attempt_ended: true,
  attempt_withdrawn: true,
  task_failed: true,
  task_crashed: true,
  reply_ignored: true,
  late_effect: true,
  transitions_flushed: true,
  store_failed: true,
  engine_died: true,
  engine_buried: true,
};

export function isFactKind(text: string): text is FactKind {
  return Object.hasOwn(KINDS, text);
}

/** All kinds of facts. */
export const FACT_KINDS: readonly FactKind[] = Object.keys(KINDS).filter(isFactKind);
