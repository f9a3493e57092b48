import type { Queryable, SchemaName } from '../connection/index.js';
import type { Migration } from './migration.js';

/** The table that remembers what was applied. */
export function migrationTableSql(schema: SchemaName): string {
  return [
    `CREATE TABLE IF NOT EXISTS ${schema.quoted}.migration (`,
    '  version integer PRIMARY KEY,',
    '  name text NOT NULL,',
    '  checksum text NOT NULL,',
    '  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()',
    ');',
  ].join('\n');
}

/** The statement that remembers a migration; its values come from our own files. */
export function recordMigrationSql(schema: SchemaName, migration: Migration): string {
  return (
    `INSERT INTO ${schema.quoted}.migration (version, name, checksum) ` +
    `VALUES (${migration.version}, '${migration.name}', '${migration.checksum}');`
  );
}

/**
 * Makes schema and table where they are missing. Looks first: CREATE SCHEMA IF NOT EXISTS asks for
 * the right to create schemas even where there is nothing to create, and an application's role
 * often has rights in a schema that somebody else made.
 */
export async function createMigrationTable(client: Queryable, schema: SchemaName): Promise<void> {
  const { rows } = await client.query<{ schema: boolean; relation: boolean }>({
    text: 'SELECT to_regnamespace($1) IS NOT NULL AS schema, to_regclass($2) IS NOT NULL AS relation',
    values: [schema.quoted, `${schema.quoted}.migration`],
  });
  const found = rows[0];
  if (found?.schema !== true) await client.query({ text: `CREATE SCHEMA ${schema.quoted}` });
  if (found?.relation !== true) await client.query({ text: migrationTableSql(schema) });
}
