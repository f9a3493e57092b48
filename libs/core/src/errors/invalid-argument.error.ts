import { inspect } from 'node:util';
import { SagazError } from './sagaz-error.js';
import { bounded } from './well-formed.js';

/** A call was given an argument that it cannot have; nothing was done. */
export class InvalidArgumentError extends SagazError {
  readonly code = 'SAGAZ_INVALID_ARGUMENT';

  constructor(
    /** The call, such as `DeadLetters.list`. */
    readonly call: string,
    /** The argument or option, such as `limit`. */
    readonly argument: string,
    readonly given: unknown,
    remedy: string,
  ) {
    super(`${call}: ${argument} is ${shown(given)}.`, remedy);
  }
}

function shown(given: unknown): string {
  try {
    return bounded(inspect(given, { depth: 0, breakLength: Infinity }), 200);
  } catch {
    return 'a value that cannot be read';
  }
}
