import { SagazError } from '@sagaz/core';

/** Nobody said which database. */
export class NoUrlError extends SagazError {
  readonly code = 'SAGAZ_NO_URL';

  constructor() {
    super(
      'No database is given.',
      'Set SAGAZ_DATABASE_URL or pass --url postgres://user:password@host:5432/database.',
    );
  }
}
