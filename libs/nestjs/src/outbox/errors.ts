import { HEADER_REMEDY, SagazError } from '@sagaz/core';

/** A header that a message cannot have. */
export class InvalidHeaderError extends SagazError {
  readonly code = 'SAGAZ_INVALID_HEADER';

  constructor(
    readonly header: string,
    /** The type of the message with the header. */
    readonly type: string,
    problem: string,
  ) {
    super(`The header '${header}' of '${type}' ${problem}.`, HEADER_REMEDY);
  }
}

/** A message cannot be published with the given options, or is too large. */
export class InvalidPublishError extends SagazError {
  readonly code = 'SAGAZ_INVALID_PUBLISH';

  constructor(
    readonly type: string,
    problem: string,
    remedy: string,
  ) {
    super(`'${type}' cannot be published: ${problem}.`, remedy);
  }
}
