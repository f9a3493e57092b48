import { SagazError } from '@sagaz/core';

/** A saga class that Nest makes anew for each request or each injection. */
export class SagaScopeError extends SagazError {
  readonly code = 'SAGAZ_SAGA_SCOPE';

  constructor(readonly sagaClass: string) {
    super(
      `The saga class ${sagaClass} is request-scoped or transient, or depends on something that is; a saga goes on when no request is there.`,
      'Make it and all it depends on singletons; give it what it needs of a request as its input.',
    );
  }
}

/** A saga was to be started with a manager of another connection than its own. */
export class SagaConnectionError extends SagazError {
  readonly code = 'SAGAZ_SAGA_CONNECTION';

  constructor(
    readonly saga: string,
    /** Where the saga is kept. */
    readonly expected: string,
    /** Where the manager's transaction is. */
    readonly given: string,
  ) {
    super(
      `The saga '${saga}' is kept by the connection "${expected}", and the manager belongs to "${given}": they cannot commit together.`,
      `Start it in a transaction of "${expected}", or say @Saga({ connection: '${given}' }).`,
    );
  }
}

/** A saga cannot be started so. */
export class InvalidStartError extends SagazError {
  readonly code = 'SAGAZ_INVALID_START';

  constructor(
    readonly saga: string,
    problem: string,
    remedy: string,
  ) {
    super(`The saga ${saga} cannot be started so: ${problem}.`, remedy);
  }
}

/** Sagas were asked for by a status that there is not; nothing would ever be found. */
export class InvalidSagaFilterError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SAGA_FILTER';

  constructor(
    readonly given: readonly string[],
    readonly statuses: readonly string[],
  ) {
    super(`No saga has the status ${given.join(', ')}.`, `Give some of ${statuses.join(', ')}.`);
  }
}
