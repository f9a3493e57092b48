import type { ProcessRole } from '@sagaz/core';
import type { SagazPool, SchemaName } from '../connection/index.js';
import { NEEDED, type Needed } from './privilege-list.js';
import { MissingPrivilegesError } from './privileges.error.js';

interface Row {
  readonly role: string;
  readonly quoted_role: string;
  readonly place: number;
  readonly privilege: string;
  readonly granted: boolean | null;
}

/**
 * Checks once, when the store starts, all privileges that the roles of this process need. Without this
 * check the first statement that lacks a grant would fail in the middle of work.
 *
 * @throws MissingPrivilegesError with the statements that grant what is missing
 */
export async function checkPrivileges(
  pool: SagazPool,
  schema: SchemaName,
  roles: readonly ProcessRole[],
): Promise<void> {
  const needed = union(roles);
  if (needed.length === 0) return;
  const asked = needed.flatMap(({ kind, name, privileges }, place) =>
    privileges.map((privilege) => ({ kind, name, privilege, place })),
  );
  // For a table that a later version has dropped, or an earlier one lacks, the answer is null, which is
  // not a missing grant.
  const { rows } = await pool.for('work').query<Row>({
    text: `SELECT current_user AS role, quote_ident(current_user) AS quoted_role, n.place, n.privilege,
        CASE WHEN to_regclass(n.relation) IS NULL THEN NULL
          WHEN n.kind = 'SEQUENCE' THEN has_sequence_privilege(n.relation, n.privilege)
          ELSE has_table_privilege(n.relation, n.privilege) END AS granted
      FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS n (kind, relation, privilege, place)`,
    values: [
      asked.map(({ kind }) => kind),
      asked.map(({ name }) => `${schema.quoted}.${name}`),
      asked.map(({ privilege }) => privilege),
      asked.map(({ place }) => place),
    ],
  });
  const lacking = new Map<Needed, string[]>();
  for (const { place, privilege, granted } of rows) {
    const one = needed[place];
    if (granted !== false || one === undefined) continue;
    lacking.set(one, [...(lacking.get(one) ?? []), privilege]);
  }
  const [first] = rows;
  if (lacking.size === 0 || first === undefined) return;
  const grants = Array.from(lacking, ([{ kind, name }, privileges]) => {
    const on = `${kind === 'SEQUENCE' ? 'SEQUENCE ' : ''}${schema.quoted}.${name}`;
    return `GRANT ${privileges.join(', ')} ON ${on} TO ${first.quoted_role};`;
  });
  throw new MissingPrivilegesError(pool.place, first.role, grants);
}

/** The privileges that the roles need together, each relation once. */
function union(roles: readonly ProcessRole[]): readonly Needed[] {
  const all = new Map<string, Needed>();
  for (const role of roles) {
    for (const one of NEEDED[role]) {
      const before = all.get(one.name)?.privileges ?? [];
      all.set(one.name, { ...one, privileges: [...new Set([...before, ...one.privileges])] });
    }
  }
  return [...all.values()];
}
