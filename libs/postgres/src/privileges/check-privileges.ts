import type { SagazPool, SchemaName } from '../connection/index.js';
import { grantStatement } from './grant-statement.js';
import type { Needed, Privilege } from './privilege-list.js';
import { MissingPrivilegesError } from './privileges.error.js';

interface Row {
  readonly role: string;
  readonly quoted_role: string;
  readonly place: number;
  readonly privilege: Privilege;
  readonly granted: boolean | null;
}

/**
 * Checks once, at the start, all privileges that this process needs. Without this check the first
 * statement that lacks a grant would fail in the middle of work.
 *
 * The objects are looked up in the catalog, which every role may read, and not by their names, which a
 * role without USAGE on the schema may not look up.
 *
 * @param needed each object once
 * @throws MissingPrivilegesError with the statements that grant the missing privileges
 */
export async function checkPrivileges(
  pool: SagazPool,
  schema: SchemaName,
  needed: readonly Needed[],
): Promise<void> {
  if (needed.length === 0) return;
  const asked = needed.flatMap(({ kind, name, privileges }, place) =>
    privileges.map((privilege) => ({ kind, name, privilege, place })),
  );
  // An object that a later version has dropped, or an earlier one lacks, has no row in the catalog. The
  // answer is null, which is not a missing grant.
  const { rows } = await pool.for('work').query<Row>({
    text: `SELECT current_user AS role, quote_ident(current_user) AS quoted_role, n.place, n.privilege,
        CASE n.kind
          WHEN 'SCHEMA' THEN has_schema_privilege(s.oid, n.privilege)
          WHEN 'FUNCTION' THEN (
            SELECT bool_and(has_function_privilege(p.oid, n.privilege)) FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = s.oid AND p.proname = n.name
          )
          ELSE (
            SELECT CASE n.kind WHEN 'SEQUENCE' THEN has_sequence_privilege(c.oid, n.privilege)
              ELSE has_table_privilege(c.oid, n.privilege) END
            FROM pg_catalog.pg_class c WHERE c.relnamespace = s.oid AND c.relname = n.name
          )
        END AS granted
      FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS n (kind, name, privilege, place)
      LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = $5`,
    values: [
      asked.map(({ kind }) => kind),
      asked.map(({ name }) => name),
      asked.map(({ privilege }) => privilege),
      asked.map(({ place }) => place),
      schema.text,
    ],
  });
  const lacking = new Map<Needed, Privilege[]>();
  for (const { place, privilege, granted } of rows) {
    const one = needed[place];
    if (granted !== false || one === undefined) continue;
    lacking.set(one, [...(lacking.get(one) ?? []), privilege]);
  }
  const [first] = rows;
  if (lacking.size === 0 || first === undefined) return;
  const grants = Array.from(lacking, ([one, privileges]) =>
    grantStatement({ ...one, privileges }, schema, first.quoted_role),
  );
  throw new MissingPrivilegesError(pool.place, first.role, grants);
}
