import { CAUSE_TOLD, SagazError, errorMessage, redact } from '@sagaz/core';

/** The name given for Sagaz's schema cannot be one. */
export class InvalidSchemaNameError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SCHEMA_NAME';

  constructor(readonly given: string) {
    super(
      `"${given}" cannot be the name of a schema of Sagaz.`,
      'Use lower-case letters, digits and underscores, not beginning with a digit or "pg_", at most 63 of them.',
    );
  }
}

/** Neither a url nor an application's pool says where the database is, or the url is no url. */
export class NoDatabaseError extends SagazError {
  readonly code = 'SAGAZ_NO_DATABASE';

  constructor(what: string) {
    super(
      what,
      'Give `url` ("postgres://user:password@host:5432/database"), or use the store where the application has a connection.',
    );
  }
}

/** The database could not be reached or refused the connection. */
export class DatabaseUnreachableError extends SagazError {
  readonly code = 'SAGAZ_DATABASE_UNREACHABLE';
  // The cause may quote the connection string.
  readonly [CAUSE_TOLD] = true;

  constructor(
    /** Host, port and database; never the password. */
    readonly place: string,
    cause: unknown,
  ) {
    super(
      `No connection to the database ${place}: ${redact(errorMessage(cause))}.`,
      'Check that it runs, that host, port, user and password are right, and that it has connections left.',
      { cause },
    );
  }
}

/**
 * A connection gave no answer in the time that this use of it may take, and was thrown away. Whether the
 * statement was carried out is unknown.
 */
export class NoAnswerError extends SagazError {
  readonly code = 'SAGAZ_NO_ANSWER';

  constructor(
    /** Milliseconds that were waited. */
    readonly waitedMs: number,
  ) {
    super(
      `The database gave no answer for ${String(waitedMs)} ms; the connection was thrown away, and whether the statement was carried out is unknown.`,
      'Look for a firewall or NAT that forgets connections, for locks, and for a server that is overloaded.',
    );
  }
}

/**
 * The role lacks a grant on a table of Sagaz's own, met in a transaction of the application. It says nothing
 * about the work in that transaction, which is tried again until the grant is there.
 */
export class StoreForbiddenError extends SagazError {
  readonly code = 'SAGAZ_STORE_FORBIDDEN';

  constructor(cause: unknown) {
    super(
      `The database does not let this role work on Sagaz's tables: ${redact(errorMessage(cause))}.`,
      'Grant what is missing; the start of a process names the statements.',
      { cause },
    );
  }
}
