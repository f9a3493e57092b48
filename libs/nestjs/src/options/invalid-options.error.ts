import { SagazError } from '@sagaz/core';

/** One option that cannot have the value it was given. */
export interface OptionProblem {
  /** The name of the option, for example `relay.batchSize`. */
  readonly option: string;
  /** The environment variable the value came from; undefined: from code. */
  readonly variable: string | undefined;
  /** The given value as text, without secrets. */
  readonly given: string;
  readonly expected: string;
}

/**
 * Options have impossible values. The error names all of them, so that one start is enough to correct
 * all.
 */
export class InvalidOptionsError extends SagazError {
  readonly code = 'SAGAZ_INVALID_OPTIONS';

  constructor(readonly problems: readonly OptionProblem[]) {
    super(
      `SagazModule cannot start with these options:\n${problems
        .map(
          ({ option, variable, given, expected }) =>
            `  - ${option}${variable === undefined ? '' : ` (from ${variable})`} is ${given}: ${expected}.`,
        )
        .join('\n')}\n`,
      'Correct them in SagazModule.forRoot() or in the environment.',
    );
  }
}
