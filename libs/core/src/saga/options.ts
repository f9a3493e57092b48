import type { Duration, RetryOptions, TimeLimit } from '../retry/index.js';
import type { FailureStrategy } from './saga-definition.js';

/** Options of `@Saga`. */
export interface SagaOptions<Output extends string = string> {
  /**
   * The saga's name, unique among the sagas of a service. It is stored with every saga: after a change
   * of the name, sagas that were started before no longer find their class.
   */
  readonly name: string;
  /**
   * The version of the class. Raise it when steps change in a way that does not fit running sagas.
   * Default 1.
   */
  readonly version?: number;
  /** The step whose result is the saga's output. */
  readonly output?: Output;
  /** Name of the DataSource whose store keeps the saga. Default: the default one. */
  readonly connection?: string;
  /**
   * The time limit of the saga, from its start. When it passes, running steps are aborted and the saga
   * compensates. Default: none.
   */
  readonly deadline?: Duration;
  /**
   * How the failure of one step affects the steps that run beside it: `fail-fast` (default) aborts
   * them, `wait-all` lets them end, `fail-fast-with-grace` lets them run on for `grace`.
   */
  readonly failureStrategy?: FailureStrategy;
  /** How long the other steps may run on with `fail-fast-with-grace`. Default `'5s'`. */
  readonly grace?: Duration;
  /** After this many crashes in a row the outcome of a step counts as unknown. Default 3. */
  readonly maxCrashes?: number;
}

interface AttemptOptions {
  /**
   * Default: for a step 5 attempts, the first pause 200 ms; for a compensation 12, the first pause 500
   * ms.
   */
  readonly retry?: RetryOptions;
  /**
   * The time limit of one attempt. When it passes, the attempt's `signal` is aborted and the attempt
   * counts as failed. Default `'15m'`; `false` means no limit, for work that takes longer and ends by
   * itself.
   */
  readonly timeout?: TimeLimit;
  /**
   * The time limit of the wait for the reply, if the method returns a command. Default: the value of
   * `timeout`, else `'15m'`. There is always a limit.
   */
  readonly replyTimeout?: Duration;
  /** Whether its database writes commit together with the record of its completion. Default false. */
  readonly transactional?: boolean;
}

/** Options of `@SagaStep`. */
export interface StepOptions<Dependency extends string = string> extends AttemptOptions {
  /**
   * Steps that must be complete before this one starts. Default: none, so that it starts with the
   * saga.
   */
  readonly dependsOn?: readonly Dependency[];
  /**
   * Whether the step is the point of no return: once it is complete, neither it nor any step before it
   * is undone. Default false.
   */
  readonly pivot?: boolean;
}

/** Options of `@Compensate` and `@ForwardRecovery`. */
export type CompensationOptions = AttemptOptions;
