import { SagazError } from '@sagaz/core';

/** The database role lacks privileges that the process needs. */
export class MissingPrivilegesError extends SagazError {
  readonly code = 'SAGAZ_MISSING_PRIVILEGES';

  constructor(
    /** Host, port and database. */
    readonly place: string,
    readonly role: string,
    /** The statements that grant them, for the owner of the schema. */
    readonly grants: readonly string[],
  ) {
    super(
      `The role "${role}" lacks privileges in the database ${place} that this process needs.`,
      `Let the owner of the schema run: ${grants.join(' ')}`,
    );
  }
}
