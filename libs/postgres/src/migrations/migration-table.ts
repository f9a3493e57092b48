import type { Queryable, SchemaName } from '../connection/index.js';
import type { Migration } from './migration.js';

/** The table that records the applied migrations. */
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

/**
 * The statement that records a migration. Its values come from the package's own files, so they need no
 * escaping.
 */
export function recordMigrationSql(schema: SchemaName, migration: Migration): string {
  return (
    `INSERT INTO ${schema.quoted}.migration (version, name, checksum) ` +
    `VALUES (${migration.version}, '${migration.name}', '${migration.checksum}');`
  );
}

/**
 * Creates schema and table if they are missing. It looks first, because CREATE SCHEMA IF NOT EXISTS
 * requires the right to create schemas even if the schema exists, and an application's role often has
 * rights only in a schema that an administrator made.
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
