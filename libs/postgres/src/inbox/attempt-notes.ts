import type { InboxAttempts, InboxKey } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';
import { keyValues } from './inbox-rows.js';

/** Reads the notes of a message's attempts. */
export async function readAttempts(
  on: Queryable,
  schema: SchemaName,
  key: InboxKey,
): Promise<InboxAttempts> {
  const { rows } = await on.query<InboxAttempts>({
    text: `SELECT failures, timeouts, starts, crashes FROM ${schema.quoted}.inbox_attempt
      WHERE tenant = $1 AND group_name = $2 AND source = $3 AND id = $4`,
    values: keyValues(key),
  });
  return rows[0] ?? { failures: 0, timeouts: 0, starts: 0, crashes: 0 };
}

/** The notes that can be made of an attempt. */
export type AttemptNote =
  | 'started'
  | 'started_alone'
  | 'in_company'
  | 'start_taken_back'
  | 'alone_taken_back'
  | 'failed'
  | 'timed_out'
  | 'uncounted';

/**
 * The numbers that each note adds to failures, timeouts, starts and crashes, and whether the attempt
 * has ended.
 */
const NOTES: Readonly<Record<AttemptNote, readonly [number, number, number, number, boolean]>> = {
  started: [0, 0, 1, 0, false],
  started_alone: [0, 0, 0, 1, false],
  in_company: [0, 0, 1, -1, false],
  start_taken_back: [0, 0, -1, 0, false],
  alone_taken_back: [0, 0, 0, -1, false],
  failed: [1, 0, 0, 0, true],
  timed_out: [1, 1, 0, 0, true],
  uncounted: [0, 0, 0, 0, true],
};

/** Makes a note of an attempt outside of the handler's transaction, which rolls back. One statement. */
export async function noteAttempt(
  on: Queryable,
  schema: SchemaName,
  key: InboxKey,
  note: AttemptNote,
): Promise<InboxAttempts> {
  const { rows } = await on.query<InboxAttempts>({
    text: `INSERT INTO ${schema.quoted}.inbox_attempt AS a
        (tenant, group_name, source, id, failures, timeouts, starts, crashes)
      VALUES ($1, $2, $3, $4, $5, $6, greatest($7::integer, 0), greatest($8::integer, 0))
      ON CONFLICT (tenant, group_name, source, id) DO UPDATE SET
        failures = a.failures + $5,
        timeouts = a.timeouts + $6,
        starts = CASE WHEN $9 THEN 0 ELSE greatest(a.starts + $7::integer, 0) END,
        crashes = CASE WHEN $9 THEN 0 ELSE greatest(a.crashes + $8::integer, 0) END,
        noted_at = clock_timestamp()
      RETURNING failures, timeouts, starts, crashes`,
    values: [...keyValues(key), ...NOTES[note]],
  });
  const [row] = rows;
  if (row === undefined) throw new Error('The note of an attempt returned no row.');
  return row;
}
