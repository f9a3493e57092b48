import { SagazError, type Logger } from '@sagaz/core';
import type { SagazPool } from './sagaz-pool.js';

const OLDEST = 14;

/** Sagaz cannot keep its guarantees on this server. */
export class UnsuitableServerError extends SagazError {
  readonly code = 'SAGAZ_UNSUITABLE_SERVER';

  constructor(
    /** Host, port and database. */
    readonly place: string,
    problem: string,
    remedy: string,
  ) {
    super(`The database ${place} ${problem}.`, remedy);
  }
}

interface SettingsRow {
  readonly version: number;
  readonly version_text: string;
  readonly in_recovery: boolean;
  readonly read_only: string;
  readonly synchronous_commit: string;
  readonly fsync: string;
  readonly isolation: string;
  readonly statement_timeout: number;
  readonly free_connections: number;
  readonly server_encoding: string;
  readonly client_encoding: string;
}

/**
 * Checks the server once, when the store starts. Throws `UnsuitableServerError` if Sagaz cannot work on
 * it, and logs a warning for each setting that weakens the guarantees.
 */
export async function checkServer(pool: SagazPool, logger: Logger): Promise<void> {
  const { rows } = await pool.query<SettingsRow>({
    text: `SELECT current_setting('server_version_num')::int AS version,
        current_setting('server_version') AS version_text,
        pg_is_in_recovery() AS in_recovery,
        current_setting('default_transaction_read_only') AS read_only,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('fsync') AS fsync,
        current_setting('default_transaction_isolation') AS isolation,
        (SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout,
        current_setting('max_connections')::int
          - current_setting('superuser_reserved_connections')::int AS free_connections,
        current_setting('server_encoding') AS server_encoding,
        current_setting('client_encoding') AS client_encoding`,
  });
  const [found] = rows;
  if (found === undefined) return;
  const { place } = pool;
  if (Math.floor(found.version / 10_000) < OLDEST) {
    throw new UnsuitableServerError(
      place,
      `is PostgreSQL ${found.version_text}`,
      `Use PostgreSQL ${String(OLDEST)} or later.`,
    );
  }
  if (found.in_recovery || found.read_only === 'on') {
    throw new UnsuitableServerError(
      place,
      found.in_recovery ? 'is a standby that only reads' : 'gives this role read-only transactions',
      'Connect to the primary (behind several hosts: target_session_attrs=read-write).',
    );
  }
  if (found.server_encoding !== 'UTF8') {
    throw new UnsuitableServerError(
      place,
      `holds text in ${found.server_encoding}, which lacks characters that messages may have`,
      "Create the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move what is in it.",
    );
  }
  if (found.client_encoding !== 'UTF8') {
    throw new UnsuitableServerError(
      place,
      `takes what this role sends for ${found.client_encoding}, and the driver sends UTF8`,
      "ALTER ROLE … SET client_encoding = 'UTF8', and leave it out of the options of the connection and of the pooler.",
    );
  }
  if (found.isolation !== 'read committed') {
    throw new UnsuitableServerError(
      place,
      `runs single statements of this role in ${found.isolation}, and a pooler does not let a connection change that`,
      "ALTER ROLE … SET default_transaction_isolation = 'read committed', or give Sagaz a role of its own that has it.",
    );
  }
  if (found.synchronous_commit === 'off') {
    logger.warn(
      'synchronous_commit is off: a crash of the database can lose what was answered as committed, and with it messages and steps. Set it to "on" for this role.',
      { place },
    );
  }
  if (found.fsync === 'off') {
    logger.warn(
      'fsync is off: a crash of the machine can lose or corrupt everything. Turn it on outside of tests.',
      { place },
    );
  }
  // Connections ask for both settings; a pooler can refuse them, or accept and ignore them.
  if (found.statement_timeout === 0 && pool.statementTimeoutMs > 0) {
    logger.warn(
      'Statements have no time limit in the server, because a pooler does not pass it on. Give the role one: ALTER ROLE … SET statement_timeout.',
      { place, wanted: pool.statementTimeoutMs },
    );
  }
  if (pool.max > found.free_connections) {
    logger.warn(
      'The pool may open more connections than the server has. Lower pool.max or raise max_connections.',
      { place, max: pool.max, serverHas: found.free_connections },
    );
  }
}
