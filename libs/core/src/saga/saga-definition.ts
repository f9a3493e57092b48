/** How long to wait before the next attempt, and how often to try. All durations in milliseconds. */
export interface RetryPolicy {
  /** How often in all, the first attempt included. */
  readonly attempts: number;
  readonly backoffMs: number;
  /** Each further delay is multiplied by this. */
  readonly factor: number;
  readonly maxDelayMs: number;
  /** 0 … 1: the share of the delay that is drawn by chance. */
  readonly jitter: number;
}

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
  readonly timeoutMs: number | null;
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
  /** Of one attempt of a local step. Null: none. */
  readonly timeoutMs: number | null;
  /** Of the wait for a command's reply: every wait has a deadline. */
  readonly replyTimeoutMs: number;
  readonly compensation: CompensationDefinition | null;
  /** Runs instead of a compensation when a later step fails behind a completed pivot. */
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
