import {
  CAUSE_TOLD,
  SagazError,
  errorMessage,
  hideFromLogs,
  propertyOf,
  redact,
  valueText,
} from '@sagaz/core';

/** The name given for Sagaz's schema is not a valid one. */
export class InvalidSchemaNameError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SCHEMA_NAME';

  constructor(readonly given: unknown) {
    super(
      `${valueText(given)} cannot be the name of a schema of Sagaz.`,
      'Use lower-case letters, digits and underscores, not beginning with a digit or "pg_", at most 63 of them.',
    );
    hideFromLogs(this, 'given');
  }
}

/**
 * The database is not known: there is neither a url nor a pool of the application, or the url is
 * invalid.
 */
export class NoDatabaseError extends SagazError {
  readonly code = 'SAGAZ_NO_DATABASE';

  constructor(what: string) {
    super(
      what,
      'Give `url` ("postgres://user:password@host:5432/database"), or use the store with a connection of the application.',
    );
  }
}

/** The database could not be reached or refused the connection. */
export class DatabaseUnreachableError extends SagazError {
  readonly code = 'SAGAZ_DATABASE_UNREACHABLE';
  // The cause is not printed as it is, because it may quote the connection string.
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
 * A connection gave no answer within the limit of its use, and was closed. It is unknown whether the
 * statement was carried out.
 */
export class NoAnswerError extends SagazError {
  readonly code = 'SAGAZ_NO_ANSWER';

  constructor(
    /** How long the answer was waited for, in milliseconds. */
    readonly waitedMs: number,
  ) {
    super(
      `The database gave no answer for ${String(waitedMs)} ms; the connection was closed, and it is unknown whether the statement was carried out.`,
      'Look for a firewall or NAT that forgets connections, for locks, and for a server that is overloaded.',
    );
  }
}

/**
 * In a transaction of the application, the database refuses a statement of Sagaz on its own tables, and
 * will refuse it until a person changes that: a grant, table, column or function is missing, or the server
 * is read-only. That says nothing about the work in that transaction, which is tried again until then.
 */
export class StoreRefusedError extends SagazError {
  readonly code = 'SAGAZ_STORE_REFUSED';

  constructor(cause: unknown) {
    super(
      `The database refuses a statement on Sagaz's tables: ${redact(errorMessage(cause))}.`,
      remedyOf(propertyOf(cause, 'code')),
      { cause },
    );
  }
}

function remedyOf(state: unknown): string {
  switch (state) {
    case '42501':
      return 'Give the role the missing grant; a process prints the GRANT statements when it starts.';
    case '25006':
      return "Connect the application's DataSource to the server that takes writes, and after a failover restart what still has connections to the old one; look at default_transaction_read_only as well.";
    default:
      return "Run 'sagaz migrate' of this version for the database and the schema that the application uses.";
  }
}
