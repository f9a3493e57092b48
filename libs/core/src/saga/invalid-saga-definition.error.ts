import { SagazError } from '../errors/index.js';

/** One problem of a saga class. */
export interface DefinitionProblem {
  /** The method that has the problem; null if it is about the class. */
  readonly method: string | null;
  /** The value that was given, and why it is not allowed. */
  readonly problem: string;
  /** The remedy. */
  readonly remedy: string;
}

function line(sagaClass: string, { method, problem, remedy }: DefinitionProblem): string {
  return `${method === null ? sagaClass : `${sagaClass}.${method}`}: ${problem} ${remedy}`;
}

/** A saga class that cannot run. The error names every problem and not only the first. */
export class InvalidSagaDefinitionError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SAGA_DEFINITION';

  constructor(
    /** Name of the class. */
    readonly sagaClass: string,
    readonly problems: readonly DefinitionProblem[],
  ) {
    super(
      `The saga class ${sagaClass} cannot be used.\n` +
        problems.map((problem) => `  - ${line(sagaClass, problem)}`).join('\n') +
        '\n',
      problems.length === 1
        ? 'Repair it and start again.'
        : `Repair these ${problems.length} and start again.`,
    );
  }
}
