import type { Method, StepOutput } from './saga-of.js';

/** What a step or compensation may know about its own run. Injected by `@StepContext()`. */
export interface StepContext<S extends object = object> {
  readonly sagaId: string;
  /** The name of the saga, as in `@Saga({ name })`. */
  readonly saga: string;
  readonly step: string;
  /** From 1. */
  readonly attempt: number;
  /** The same for every attempt and for the compensation: give it to whoever must not act twice. */
  readonly idempotencyKey: string;
  /** Aborted at the attempt's timeout, at the saga's deadline, on cancel, and at shutdown. */
  readonly signal: AbortSignal;
  /** When the saga must be over, by this host's clock; null: it has no deadline. */
  readonly deadline: Date | null;
  /**
   * The result of a step this one depends on, directly or not.
   *
   * @throws StepResultMissingError when the step has no result
   */
  result<K extends StepNames<S>>(step: K): StepOutput<S[K]>;
}

/** The names of the methods of a saga class. */
export type StepNames<S> = {
  [K in keyof S]: S[K] extends Method ? K : never;
}[keyof S];
