import { SagazError } from '@sagaz/core';

/** The role lacks privileges that the process needs for what it does. */
export class MissingPrivilegesError extends SagazError {
  readonly code = 'SAGAZ_MISSING_PRIVILEGES';

  constructor(
    /** Host, port and database. */
    readonly place: string,
    readonly role: string,
    /** Statements that give them, for somebody who may. */
    readonly grants: readonly string[],
  ) {
    super(
      `The role "${role}" lacks privileges in the database ${place} that this process needs.`,
      `Let the owner of the schema run: ${grants.join(' ')}`,
    );
  }
}
