import type { RetryPolicy } from '../retry/index.js';

export type { RetryPolicy };

/** What a parallel branch's failure does to its siblings that still run. */
export type FailureStrategy = 'fail-fast' | 'wait-all' | 'fail-fast-with-grace';

/** Where a parameter of a step or compensation takes its value from. */
export type ArgumentSource =
  | { readonly kind: 'input' }
  | { readonly kind: 'result'; readonly step: string }
  | { readonly kind: 'result_if_any'; readonly step: string }
  | { readonly kind: 'idempotency_key' }
  | { readonly kind: 'context' }
  | { readonly kind: 'transaction_manager' };

/** A method of the saga class and where its arguments come from, by position. */
export interface StepMethod {
  readonly method: string;
  readonly arguments: readonly ArgumentSource[];
}

export interface CompensationDefinition extends StepMethod {
  readonly retry: RetryPolicy;
  /** Of one attempt. Null: its limit was waived. */
  readonly timeoutMs: number | null;
  /** Of the wait for the reply, when it is a command. */
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
  /** Of one attempt. Null: its limit was waived. */
  readonly timeoutMs: number | null;
  /** Of the wait for a command's reply: every wait has a deadline. */
  readonly replyTimeoutMs: number;
  readonly compensation: CompensationDefinition | null;
  /**
   * Runs when this step has failed for good behind a completed pivot, where nothing is undone any
   * more. Its result is the step's.
   */
  readonly forwardRecovery: CompensationDefinition | null;
}

/** What a saga is: built once from a decorated class, validated, and never changed. */
export interface SagaDefinition {
  readonly name: string;
  readonly version: number;
  readonly sagaClass: SagaClass;
  /** Name of the DataSource whose store keeps it; undefined: the default one. */
  readonly connection: string | undefined;
  /** In topological order. */
  readonly steps: ReadonlyMap<string, StepDefinition>;
  /** The step whose result is the saga's output; null: none. */
  readonly output: string | null;
  readonly deadlineMs: number | null;
  readonly failureStrategy: FailureStrategy;
  /** For `fail-fast-with-grace`: how long siblings may go on. */
  readonly graceMs: number;
  /** After this many crashes in a row the outcome of a step is unknown. */
  readonly maxCrashes: number;
}

/** A class decorated with `@Saga`. */
export type SagaClass<T extends object = object> = abstract new (...args: never[]) => T;
