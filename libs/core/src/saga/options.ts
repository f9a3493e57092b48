import type { Duration, RetryOptions, TimeLimit } from '../retry/index.js';
import type { FailureStrategy } from './saga-definition.js';

/** Options of `@Saga`. */
export interface SagaOptions<Output extends string = string> {
  /** Unique among the sagas of a service. Stored with every saga: changing it abandons those. */
  readonly name: string;
  /** Raise it when steps change in a way that running sagas could not bear. Default 1. */
  readonly version?: number;
  /** The step whose result is the saga's output. */
  readonly output?: Output;
  /** Name of the DataSource whose store keeps it. Default: the default one. */
  readonly connection?: string;
  /** From the start; then what runs is aborted and the saga compensates. Default: none. */
  readonly deadline?: Duration;
  /**
   * What the failure of one branch does to the steps that run beside it: `fail-fast` (default)
   * aborts them, `wait-all` lets them end, `fail-fast-with-grace` lets them go on for `grace`.
   */
  readonly failureStrategy?: FailureStrategy;
  /** For `fail-fast-with-grace`. Default `'5s'`. */
  readonly grace?: Duration;
  /** After this many crashes in a row the outcome of a step is taken as unknown. Default 3. */
  readonly maxCrashes?: number;
}

interface AttemptOptions {
  /** Default of a step: 5 attempts from 200 ms; of a compensation: 12 from 500 ms. */
  readonly retry?: RetryOptions;
  /**
   * Of one attempt: then its `signal` is aborted, and it counts as failed. Default `'15m'`; `false`: no
   * limit, for work that takes longer and ends by itself.
   */
  readonly timeout?: TimeLimit;
  /**
   * Of the wait for the reply, when it returns a command. Default: the time of `timeout`, else `'15m'`. It
   * cannot be waived.
   */
  readonly replyTimeout?: Duration;
  /** Its database writes commit with the record of its completion, or not at all. Default false. */
  readonly transactional?: boolean;
}

/** Options of `@SagaStep`. */
export interface StepOptions<Dependency extends string = string> extends AttemptOptions {
  /** Steps that must be complete before this one starts. Default: none, it starts with the saga. */
  readonly dependsOn?: readonly Dependency[];
  /** The point of no return: once complete, neither it nor what came before it is undone. */
  readonly pivot?: boolean;
}

/** Options of `@Compensate` and `@ForwardRecovery`. */
export type CompensationOptions = AttemptOptions;
