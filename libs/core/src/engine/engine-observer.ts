import type { StoreFailure } from '../errors/index.js';
import type { SagaStatus } from '../ports/index.js';
import type { AttentionReason, IgnoredReply, Role } from './journal/index.js';

/** How one attempt ended. `unknown`: it was given up and may still have its effect. */
export type AttemptOutcome = 'completed' | 'command_sent' | 'failed' | 'timed_out' | 'aborted';

/** The saga that an event is about: its id, and name and version of its definition. */
export interface SagaFacts {
  readonly sagaId: string;
  readonly saga: string;
  readonly version: number;
}

/**
 * Receives what the engine does, for metrics and logs. Every method is optional. An error that a method
 * throws is logged and has no other effect.
 */
export interface EngineObserver {
  /** This engine has begun to run a saga that was started just now. */
  sagaStarted?(event: SagaFacts): void;
  /** A saga has ended, or needs a person. `durationMs`: since it was started, by the store's clock. */
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
  /** `size` transitions were written together. `durationMs`: how long the write took. */
  transitionsFlushed?(event: { readonly size: number; readonly durationMs: number }): void;
  /** The store failed a request that the engine will repeat. */
  storeFailed?(event: { readonly failure: StoreFailure }): void;
  /** This engine has adopted a saga of an engine that died (`from`). */
  sagaAdopted?(event: SagaFacts & { readonly from: string }): void;
  /** A step was found running whose process had died. */
  stepCrashed?(
    event: SagaFacts & { readonly step: string; readonly role: Role; readonly crashes: number },
  ): void;
  /** A reply came that does not count; the saga goes on waiting for one that does. */
  replyIgnored?(event: SagaFacts & { readonly reason: IgnoredReply }): void;
  /**
   * A saga needs a person. For a saga whose journal cannot be read, each engine that comes to own it
   * reports this once.
   */
  needsAttention?(
    event: SagaFacts & { readonly reason: AttentionReason; readonly detail: string },
  ): void;
  /** A step succeeded after its saga had ended or had been taken over by another engine. */
  lateEffect?(event: SagaFacts & { readonly step: string }): void;
  /** This incarnation was declared dead and returned as a new one. */
  declaredDead?(event: { readonly incarnation: string }): void;
  /** This engine declared another one dead. */
  engineBuried?(event: { readonly incarnation: string }): void;
}
