import { InvalidSchemaNameError } from './connection.errors.js';

/** A valid schema name, unquoted and quoted. */
export interface SchemaName {
  readonly text: string;
  /** Quoted; the only form in which a schema gets into SQL text. */
  readonly quoted: string;
}

// This allows less than PostgreSQL does: only names that need no quotes in psql, backups and grants,
// and at most 63 bytes, since PostgreSQL cuts longer names off in silence.
const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** Checks the name of a schema. Throws `InvalidSchemaNameError`. */
export function schemaName(name: unknown): SchemaName {
  if (
    typeof name !== 'string' ||
    !NAME.test(name) ||
    name.startsWith('pg_') ||
    name === 'information_schema'
  ) {
    throw new InvalidSchemaNameError(name);
  }
  return { text: name, quoted: `"${name}"` };
}
