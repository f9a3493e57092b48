import { hideFromLogs } from './hide-from-logs.js';
import { SagazError } from './sagaz-error.js';
import { valueText } from './value-text.js';

/** A call was given an argument that is not allowed; nothing was done. */
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
    super(`${call}: ${argument} is ${valueText(given)}.`, remedy);
    hideFromLogs(this, 'given');
  }
}
