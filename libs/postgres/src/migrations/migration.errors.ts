import { SagazError } from '@sagaz/core';
import type { MigrationSet } from './migration.js';

/** A set of tables in a schema, as the options of the command line name it. */
export interface MigrationTarget {
  readonly schema: string;
  readonly set: MigrationSet;
}

const NAMES = { store: 'the store', broker: 'the Postgres broker' } as const;
const SCHEMAS = { store: 'sagaz', broker: 'sagaz_broker' } as const;

/** The command of `sagaz` for these tables. */
function commandOf(name: 'migrate' | 'sql', { schema, set }: MigrationTarget): string {
  const broker = set === 'broker' ? ' --broker' : '';
  const elsewhere = schema === SCHEMAS[set] ? '' : ` --schema ${schema}`;
  return `npx sagaz ${name}${broker}${elsewhere}`;
}

/** The schema holds other tables of Sagaz. */
export class OtherMigrationsError extends SagazError {
  readonly code = 'SAGAZ_OTHER_MIGRATIONS';

  constructor(
    readonly target: MigrationTarget,
    /** An applied migration that does not belong to these tables. */
    readonly applied: string,
  ) {
    super(
      `The schema "${target.schema}" holds other tables of Sagaz (${applied}) than those of ${NAMES[target.set]}.`,
      'Give store and Postgres broker a schema each; by default they are sagaz and sagaz_broker.',
    );
  }
}

/** An applied migration differs from the one in this version. */
export class MigrationChangedError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_CHANGED';

  constructor(
    readonly schema: string,
    readonly migration: string,
  ) {
    super(
      `The migration ${migration} was applied to the schema "${schema}" with another text than this version has.`,
      'Use the version of @sagaz/postgres that the schema was made with, or a released one; never edit a migration that was applied.',
    );
  }
}

/** A migration is missing although a later one was applied: its record was removed, or it was skipped. */
export class MigrationMissingError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_MISSING';

  constructor(
    readonly target: MigrationTarget,
    /** The first missing migration. */
    readonly migration: string,
    /** The last applied migration. */
    readonly applied: string,
  ) {
    super(
      `The schema "${target.schema}" lacks the migration ${migration}, although the later ${applied} was applied; nothing was changed.`,
      `Find out whether its tables are there. If they are, only its record is missing: put it back into ${target.schema}.migration from a backup or from another environment. If not, restore the schema; a migration is never applied after a later one.`,
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
      'Migrate with the newer version of @sagaz/postgres; schemas are never taken back. To run this version on the schema, switch its migrations off: migrate: false.',
    );
  }
}

/** Migrations are missing, and this process is configured not to apply them. */
export class SchemaOutdatedError extends SagazError {
  readonly code = 'SAGAZ_SCHEMA_OUTDATED';

  constructor(
    readonly target: MigrationTarget,
    readonly pending: readonly string[],
  ) {
    super(
      `The schema "${target.schema}" lacks ${pending.length} migration${pending.length === 1 ? '' : 's'}: ${pending.join(', ')}.`,
      `Run \`${commandOf('migrate', target)}\` before the new version starts.`,
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

/** The role lacks rights that the migrations need. */
export class MigrationForbiddenError extends SagazError {
  readonly code = 'SAGAZ_MIGRATION_FORBIDDEN';

  constructor(
    readonly target: MigrationTarget,
    cause: Error,
  ) {
    super(
      `The role may not migrate the schema "${target.schema}": ${cause.message}.`,
      `Let an administrator run CREATE SCHEMA ${target.schema} AUTHORIZATION <role>, or apply the output of \`${commandOf('sql', target)}\` as an administrator.`,
      { cause },
    );
  }
}

/** The role may not read which migrations were applied. */
export class SchemaForbiddenError extends SagazError {
  readonly code = 'SAGAZ_SCHEMA_FORBIDDEN';

  constructor(
    readonly target: MigrationTarget,
    cause: Error,
  ) {
    super(
      `The role may not read the schema "${target.schema}": ${cause.message}.`,
      `Use the role that the schema was made with, or grant this one USAGE ON SCHEMA ${target.schema} and SELECT on the tables in it.`,
      { cause },
    );
  }
}

/** The schema contains an object with a name that a migration needs. */
export class SchemaOccupiedError extends SagazError {
  readonly code = 'SAGAZ_SCHEMA_OCCUPIED';

  constructor(
    readonly target: MigrationTarget,
    cause: Error,
  ) {
    super(
      `The schema "${target.schema}" cannot be migrated, and nothing was changed: ${cause.message}, and not by Sagaz's record of it.`,
      `Give ${NAMES[target.set]} a schema of its own (the option schema, on the command line --schema), or remove what is in the way.`,
      { cause },
    );
  }
}
