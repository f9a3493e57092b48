import { InvalidSchemaNameError } from './connection.errors.js';

/** A schema name that was checked, in the two forms that are needed. */
export interface SchemaName {
  readonly text: string;
  /** Quoted; the only form in which a schema gets into SQL text. */
  readonly quoted: string;
}

// Narrower than what PostgreSQL allows: what a name can be without quotes needs no thought in psql,
// in backups and in grants. 63 bytes is where PostgreSQL cuts names off in silence.
const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** Checks the name of a schema. Throws `InvalidSchemaNameError`. */
export function schemaName(name: string): SchemaName {
  if (!NAME.test(name) || name.startsWith('pg_') || name === 'information_schema') {
    throw new InvalidSchemaNameError(name);
  }
  return { text: name, quoted: `"${name}"` };
}
