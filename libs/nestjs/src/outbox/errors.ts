import { HEADER_REMEDY, SagazError } from '@sagaz/core';

/** A header that a message cannot have. */
export class InvalidHeaderError extends SagazError {
  readonly code = 'SAGAZ_INVALID_HEADER';

  constructor(
    readonly header: string,
    /** The message type it was meant for. */
    readonly type: string,
    problem: string,
  ) {
    super(`The header '${header}' of '${type}' ${problem}.`, HEADER_REMEDY);
  }
}

/** Options of a publish that contradict each other. */
export class InvalidPublishError extends SagazError {
  readonly code = 'SAGAZ_INVALID_PUBLISH';

  constructor(
    readonly type: string,
    problem: string,
    remedy: string,
  ) {
    super(`'${type}' cannot be published so: ${problem}.`, remedy);
  }
}
