import type { StoreFailure } from '../errors/index.js';
import type { SagaStatus, UnservedSagas } from '../ports/index.js';
import type { AttentionReason, IgnoredReply, Role } from './journal/index.js';

/** How one attempt ended. `unknown`: it was given up and may still have its effect. */
export type AttemptOutcome = 'completed' | 'command_sent' | 'failed' | 'timed_out' | 'aborted';

/** Which saga an event is about: its id, and name and version of its definition. */
export interface SagaFacts {
  readonly sagaId: string;
  readonly saga: string;
  readonly version: number;
}

/**
 * Is told what the engine does, for metrics and logs. Every method is optional; what one throws is
 * logged and goes no further.
 */
export interface EngineObserver {
  /** This engine has begun to run a saga that was started just now. */
  sagaStarted?(event: SagaFacts): void;
  /** It has ended, or needs a person. `durationMs`: since it was started, by the store's clock. */
  sagaEnded?(event: SagaFacts & { readonly status: SagaStatus; readonly durationMs: number }): void;
  /** One attempt of a step, compensation or recovery has ended. `durationMs`: of its method alone. */
  attemptEnded?(
    event: SagaFacts & {
      readonly step: string;
      readonly role: Role;
      readonly attempt: number;
      readonly outcome: AttemptOutcome;
      readonly durationMs: number;
    },
  ): void;
  /** So many transitions (`size`) were written together. `durationMs`: of the write. */
  transitionsFlushed?(event: { readonly size: number; readonly durationMs: number }): void;
  /** The store failed something that the engine tries again. */
  storeFailed?(event: { readonly failure: StoreFailure }): void;
  /** Another engine had it before. */
  sagaAdopted?(event: SagaFacts & { readonly from: string }): void;
  /** A step was found running whose process had died. */
  stepCrashed?(
    event: SagaFacts & { readonly step: string; readonly role: Role; readonly crashes: number },
  ): void;
  /** A reply came that does not count; the saga goes on waiting for one that does. */
  replyIgnored?(event: SagaFacts & { readonly reason: IgnoredReply }): void;
  /** Of a saga whose journal cannot be read: told once by each engine that comes to own it. */
  needsAttention?(
    event: SagaFacts & { readonly reason: AttentionReason; readonly detail: string },
  ): void;
  /** An effect came after its saga was over or had been given to another engine. */
  lateEffect?(event: SagaFacts & { readonly step: string }): void;
  /**
   * The due sagas that no living engine runs, by definition, as the latest look found them; none where
   * every definition is served. Told after each look, so that a gauge follows it down to nothing.
   */
  unservedSagas?(event: { readonly found: readonly UnservedSagas[] }): void;
  /** This incarnation was declared dead and returned as a new one. */
  declaredDead?(event: { readonly incarnation: string }): void;
  /** This engine declared another one dead. */
  engineBuried?(event: { readonly incarnation: string }): void;
}
