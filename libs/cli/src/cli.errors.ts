import { SagazError } from '@sagaz/core';

/** The command was given no database. */
export class NoUrlError extends SagazError {
  readonly code = 'SAGAZ_NO_URL';

  constructor() {
    super(
      'No database is given.',
      'Set SAGAZ_DATABASE_URL or pass --url postgres://user@host:5432/database.',
    );
  }
}

/** The given url is not one of a PostgreSQL database. */
export class WrongUrlError extends SagazError {
  readonly code = 'SAGAZ_WRONG_URL';

  constructor() {
    super(
      'The url of the database does not begin with "postgres://" or "postgresql://".',
      'Give one in SAGAZ_DATABASE_URL or --url: postgres://user@host:5432/database.',
    );
  }
}
