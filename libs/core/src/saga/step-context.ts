import type { Method, StepOutput } from './saga-of.js';

/** Information about the run of a step or compensation. Injected by `@StepContext()`. */
export interface StepContext<S extends object = object> {
  readonly sagaId: string;
  /** The name of the saga, as in `@Saga({ name })`. */
  readonly saga: string;
  readonly step: string;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /**
   * The same for every attempt and for the compensation. Pass it to other systems, so that they
   * recognise repeated requests.
   */
  readonly idempotencyKey: string;
  /** Aborted when the attempt's timeout or the saga's deadline passes, on cancel, and at shutdown. */
  readonly signal: AbortSignal;
  /** The saga's deadline, by this host's clock; null if it has none. */
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
