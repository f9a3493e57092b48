import type { Observer } from './app.js';

/**
 * Creates a role for an application whose store uses another one, with grants on everything that is
 * created later. Returns the URL with which the application connects as that role.
 */
export async function createApplicationRole(
  seen: Observer,
  databaseUrl: string,
  role: string,
): Promise<string> {
  await seen.rows(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
  await seen.rows(`GRANT CREATE, USAGE ON SCHEMA public TO ${role}`);
  for (const kind of ['SCHEMAS', 'TABLES', 'SEQUENCES']) {
    await seen.rows(`ALTER DEFAULT PRIVILEGES GRANT ALL ON ${kind} TO ${role}`);
  }
  const url = new URL(databaseUrl);
  url.username = role;
  url.password = role;
  return url.href;
}

/** Drops the role with everything that it owns. */
export async function dropApplicationRole(seen: Observer, role: string): Promise<void> {
  await seen.rows(`DROP OWNED BY ${role}`);
  await seen.rows(`DROP ROLE ${role}`);
}
