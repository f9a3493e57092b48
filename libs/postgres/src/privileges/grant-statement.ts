import type { SchemaName } from '../connection/index.js';
import type { Needed } from './privilege-list.js';

/**
 * Makes the statement that grants these privileges.
 *
 * @param quotedRole the role as it stands in SQL, in quotes where it needs them
 */
export function grantStatement(
  { kind, name, privileges }: Needed,
  { quoted }: SchemaName,
  quotedRole: string,
): string {
  return `GRANT ${privileges.join(', ')} ON ${objectOf(kind, name, quoted)} TO ${quotedRole};`;
}

function objectOf(kind: Needed['kind'], name: string, schema: string): string {
  switch (kind) {
    case 'SCHEMA':
      return `SCHEMA ${schema}`;
    case 'TABLE':
      return `${schema}.${name}`;
    case 'SEQUENCE':
    case 'FUNCTION':
      return `${kind} ${schema}.${name}`;
  }
}
