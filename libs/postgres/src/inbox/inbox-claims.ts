import { InboxBusyError, type InboxAttempts, type InboxKey } from '@sagaz/core';
import { isLockTimeout, type Queryable, type SchemaName } from '../connection/index.js';

/** Ends a message in the caller's transaction; one round trip. Throws `InboxBusyError`. */
export async function endMessage(
  on: Queryable,
  schema: SchemaName,
  key: InboxKey,
  state: 'done' | 'dead',
  waitMs: number,
): Promise<'new' | 'done' | 'dead'> {
  try {
    const { rows } = await on.query<{ known: 'new' | 'done' | 'dead' }>({
      text: `SELECT ${schema.quoted}.inbox_end($1, $2, $3, $4, $5, $6) AS known`,
      values: [...keyValues(key), state, Math.ceil(waitMs)],
    });
    const [row] = rows;
    if (row === undefined) throw new Error('inbox_end returned no row.');
    return row.known;
  } catch (error) {
    throw isLockTimeout(error) ? InboxBusyError.ofMessage(key, waitMs, error) : error;
  }
}

/** What is noted of a message's attempts. */
export async function readAttempts(
  on: Queryable,
  schema: SchemaName,
  key: InboxKey,
): Promise<InboxAttempts> {
  const { rows } = await on.query<{ failures: number; starts: number }>({
    text: `SELECT failures, starts FROM ${schema.quoted}.inbox_attempt
      WHERE tenant = $1 AND group_name = $2 AND source = $3 AND id = $4`,
    values: keyValues(key),
  });
  return { failures: rows[0]?.failures ?? 0, starts: rows[0]?.starts ?? 0 };
}

/** Counts what a handler's transaction, which rolls back, cannot count. One statement. */
export async function noteAttempt(
  on: Queryable,
  schema: SchemaName,
  key: InboxKey,
  noted: 'start' | 'failed' | 'uncounted',
): Promise<InboxAttempts> {
  const { rows } = await on.query<{ failures: number; starts: number }>({
    text: `INSERT INTO ${schema.quoted}.inbox_attempt AS a (tenant, group_name, source, id, failures, starts)
      VALUES ($1, $2, $3, $4, $5, $6)
      ON CONFLICT (tenant, group_name, source, id) DO UPDATE SET
        failures = a.failures + excluded.failures,
        starts = CASE WHEN excluded.starts = 0 THEN 0 ELSE a.starts + excluded.starts END,
        noted_at = clock_timestamp()
      RETURNING failures, starts`,
    values: [...keyValues(key), noted === 'failed' ? 1 : 0, noted === 'start' ? 1 : 0],
  });
  const [row] = rows;
  if (row === undefined) throw new Error('The note of an attempt returned no row.');
  return { failures: row.failures, starts: row.starts };
}

export function keyValues({ tenant, group, source, id }: InboxKey): string[] {
  return [tenant, group, source, id];
}
