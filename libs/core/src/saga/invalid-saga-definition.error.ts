import { SagazError } from '../errors/index.js';

/** One thing that is wrong with a saga class. */
export interface DefinitionProblem {
  /** The method it is about; null: the class. */
  readonly method: string | null;
  /** What was given and why it cannot be. */
  readonly problem: string;
  /** What to do. */
  readonly remedy: string;
}

function line(sagaClass: string, { method, problem, remedy }: DefinitionProblem): string {
  return `${method === null ? sagaClass : `${sagaClass}.${method}`}: ${problem} ${remedy}`;
}

/** A saga class that cannot run. Names everything that is wrong with it, not only the first. */
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
