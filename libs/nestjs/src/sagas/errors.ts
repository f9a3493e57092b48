import { SagazError } from '@sagaz/core';

/**
 * A saga class is not a singleton: Nest would make a new instance for each request or each injection.
 */
export class SagaScopeError extends SagazError {
  readonly code = 'SAGAZ_SAGA_SCOPE';

  constructor(readonly sagaClass: string) {
    super(
      `The saga class ${sagaClass} is request-scoped or transient, or depends on a provider that is; a saga also runs outside of requests.`,
      'Make it and all providers it depends on singletons, and put the data that it needs from a request into its input.',
    );
  }
}

/** A saga was to be started with a manager of another connection than its own. */
export class SagaConnectionError extends SagazError {
  readonly code = 'SAGAZ_SAGA_CONNECTION';

  constructor(
    readonly saga: string,
    /** The connection that keeps the saga. */
    readonly expected: string,
    /** The connection of the manager's transaction. */
    readonly given: string,
  ) {
    super(
      `The saga '${saga}' is kept by the connection "${expected}", and the manager belongs to "${given}": they cannot commit together.`,
      `Start it in a transaction of "${expected}", or say @Saga({ connection: '${given}' }).`,
    );
  }
}

/** A saga cannot be started with the given class or options. */
export class InvalidStartError extends SagazError {
  readonly code = 'SAGAZ_INVALID_START';

  constructor(
    readonly saga: string,
    problem: string,
    remedy: string,
  ) {
    super(`The saga ${saga} cannot be started: ${problem}.`, remedy);
  }
}

/** A filter of sagas names a status that does not exist, so nothing would ever be found. */
export class InvalidSagaFilterError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SAGA_FILTER';

  constructor(
    readonly given: readonly string[],
    readonly statuses: readonly string[],
  ) {
    super(`No saga has the status ${given.join(', ')}.`, `Give some of ${statuses.join(', ')}.`);
  }
}
