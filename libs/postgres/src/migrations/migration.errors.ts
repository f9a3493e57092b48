import { SagazError } from '@sagaz/core';

/** A migration that was applied differs from the one that this version brings. */
export class MigrationChangedError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_CHANGED';

  constructor(
    readonly schema: string,
    readonly migration: string,
  ) {
    super(
      `The migration ${migration} was applied to the schema "${schema}" with another text than the one this version brings.`,
      'Use the version of @sagaz/postgres that the schema was made with, or a released one; never edit a migration that was applied.',
    );
  }
}

/** The schema was made by a later version. */
export class SchemaTooNewError extends SagazError {
  readonly code = 'SAGAZ_SCHEMA_TOO_NEW';

  constructor(
    readonly schema: string,
    readonly applied: string,
    readonly known: string,
  ) {
    super(
      `The schema "${schema}" is at ${applied}, this version of @sagaz/postgres knows migrations up to ${known}.`,
      'Migrate with the newer version of @sagaz/postgres; schemas are never taken back.',
    );
  }
}

/** Migrations are missing, and applying them was not asked for. */
export class SchemaOutdatedError extends SagazError {
  readonly code = 'SAGAZ_SCHEMA_OUTDATED';

  constructor(
    readonly schema: string,
    readonly pending: readonly string[],
  ) {
    super(
      `The schema "${schema}" lacks ${pending.length} migration${pending.length === 1 ? '' : 's'}: ${pending.join(', ')}.`,
      'Run `npx sagaz migrate` before the new version starts.',
    );
  }
}

/** The locks that the migration needs were not free in time. */
export class MigrationTimeoutError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_TIMEOUT';

  constructor(
    readonly schema: string,
    readonly withinMs: number,
    cause: unknown,
  ) {
    super(
      `The schema "${schema}" could not be migrated within ${withinMs} ms: another transaction holds a lock that is needed.`,
      'Look for transactions that stay open (pg_stat_activity, state "idle in transaction") or for another migration, then try again.',
      { cause },
    );
  }
}

/** The role may not create what the migrations create. */
export class MigrationForbiddenError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_FORBIDDEN';

  constructor(
    readonly schema: string,
    cause: Error,
  ) {
    super(
      `The role may not migrate the schema "${schema}": ${cause.message}.`,
      `Let somebody who may run CREATE SCHEMA ${schema} AUTHORIZATION <role>, or apply the output of \`npx sagaz sql\` as an administrator.`,
      { cause },
    );
  }
}
