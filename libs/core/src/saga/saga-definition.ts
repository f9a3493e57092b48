import type { RetryPolicy } from '../retry/index.js';

export type { RetryPolicy };

/** How the failure of a step affects the steps that run beside it. */
export type FailureStrategy = 'fail-fast' | 'wait-all' | 'fail-fast-with-grace';

/** The source of the value of a parameter of a step or compensation. */
export type ArgumentSource =
  | { readonly kind: 'input' }
  | { readonly kind: 'result'; readonly step: string }
  | { readonly kind: 'result_if_any'; readonly step: string }
  | { readonly kind: 'idempotency_key' }
  | { readonly kind: 'context' }
  | { readonly kind: 'transaction_manager' };

/** A method of the saga class and the sources of its arguments, by position. */
export interface StepMethod {
  readonly method: string;
  readonly arguments: readonly ArgumentSource[];
}

export interface CompensationDefinition extends StepMethod {
  readonly retry: RetryPolicy;
  /** The time limit of one attempt in milliseconds; null if there is none. */
  readonly timeoutMs: number | null;
  /** The time limit of the wait for the reply, if the method returns a command, in milliseconds. */
  readonly replyTimeoutMs: number;
  readonly transactional: boolean;
}

export interface StepDefinition extends StepMethod {
  readonly name: string;
  readonly dependsOn: readonly string[];
  /** All steps this one depends on, directly or not. */
  readonly ancestors: ReadonlySet<string>;
  readonly dependents: readonly string[];
  readonly transactional: boolean;
  readonly pivot: boolean;
  readonly retry: RetryPolicy;
  /** The time limit of one attempt in milliseconds; null if there is none. */
  readonly timeoutMs: number | null;
  /** The time limit of the wait for a command's reply, in milliseconds; there is always one. */
  readonly replyTimeoutMs: number;
  readonly compensation: CompensationDefinition | null;
  /**
   * Runs when this step has failed for good after a completed pivot, where steps are not undone any
   * more. Its result replaces the result of the step.
   */
  readonly forwardRecovery: CompensationDefinition | null;
}

/** The definition of a saga. It is built once from a decorated class, validated, and never changed. */
export interface SagaDefinition {
  readonly name: string;
  readonly version: number;
  readonly sagaClass: SagaClass;
  /** Name of the DataSource whose store keeps the saga; undefined means the default one. */
  readonly connection: string | undefined;
  /** The steps in topological order. */
  readonly steps: ReadonlyMap<string, StepDefinition>;
  /** The step whose result is the saga's output; null if there is none. */
  readonly output: string | null;
  readonly deadlineMs: number | null;
  readonly failureStrategy: FailureStrategy;
  /** How long the other steps may run on with `fail-fast-with-grace`, in milliseconds. */
  readonly graceMs: number;
  /** After this many crashes in a row the outcome of a step is unknown. */
  readonly maxCrashes: number;
}

/** A class decorated with `@Saga`. */
export type SagaClass<T extends object = object> = abstract new (...args: never[]) => T;
