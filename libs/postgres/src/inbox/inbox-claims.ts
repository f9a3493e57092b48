import { InboxBusyError, type InboxAttempts, type InboxKey } from '@sagaz/core';
import { isLockTimeout, Prepared, type Queryable, type SchemaName } from '../connection/index.js';

interface StateRow {
  readonly state: 'done' | 'dead' | null;
}

/** The lock space of messages that a transaction is ending; those of the outbox are other numbers. */
const ENDING = 1396786501;

/**
 * The SQL condition that takes the lock of a message until the end of the transaction, if it is free.
 */
export function tryToEnd(group: string, id: string): string {
  return `pg_try_advisory_xact_lock(${ENDING}, hashtext(${group} || ${id}))`;
}

/** The longest limit that PostgreSQL takes, in milliseconds. */
const MOST_IDLE_MS = 2 ** 31 - 1;

/**
 * SQL that has the server end the transaction after $6 ms without a statement. A limit that the session
 * has already, the operator's for instance, stays. Never null.
 */
const LIMIT_IDLENESS = `CASE current_setting('idle_in_transaction_session_timeout')
        WHEN '0' THEN set_config('idle_in_transaction_session_timeout', $6, true) ELSE '' END`;

/** Marks messages as ended in the transactions of their handlers; as a rule in one round trip. */
export class InboxClaims {
  readonly #end: Prepared;
  readonly #endWithLimit: Prepared;
  readonly #endOrWait: Prepared;
  readonly #known: Prepared;

  constructor(schema: SchemaName) {
    const { quoted } = schema;
    // A transaction that has inserted a row holds its lock until it ends. So a transaction that gets
    // the lock at once finds no uncommitted row and does not wait. No bound has to be set and restored,
    // which would cost a fifth of the whole statement.
    const endIf = (condition: string): Prepared =>
      new Prepared(`INSERT INTO ${quoted}.inbox (tenant, group_name, source, id, state)
      SELECT $1, $2, $3, $4, $5 WHERE ${condition}
      ON CONFLICT DO NOTHING`);
    const free = tryToEnd('$2', '$4');
    this.#end = endIf(free);
    // The limit is set first, so that it is also set when the claim has to wait.
    this.#endWithLimit = endIf(`CASE WHEN ${LIMIT_IDLENESS} IS NOT NULL THEN ${free} END`);
    // The wait for another transaction that holds the message is bounded, and the caller's own
    // lock_timeout is as before when the statement has ended. The nested CASE and the parts that read
    // what the one before them returns fix the order: the old bound, the new one, the lock, the insert,
    // the old bound again. Without the lock the next claim would get it at once and wait without a bound.
    this.#endOrWait = new Prepared(`WITH bound AS MATERIALIZED (
        SELECT current_setting('lock_timeout') AS before
      ), ended AS (
        INSERT INTO ${quoted}.inbox (tenant, group_name, source, id, state)
        SELECT $1, $2, $3, $4, CASE WHEN set_config('lock_timeout', $6, true) IS NOT NULL
          THEN CASE WHEN pg_advisory_xact_lock(${ENDING}, hashtext($2 || $4)) IS NOT NULL THEN $5 END
        END
        FROM bound
        ON CONFLICT DO NOTHING
        RETURNING state
      )
      SELECT ended.state, set_config('lock_timeout', bound.before, true) AS lock_timeout
      FROM bound LEFT JOIN ended ON true`);
    this.#known = new Prepared(`SELECT state FROM ${quoted}.inbox
      WHERE tenant = $1 AND group_name = $2 AND source = $3 AND id = $4`);
  }

  /**
   * Marks a message as ended, or returns how it has ended before. Waits at most `waitMs` for another
   * claim of the message. The wait for a statement that prunes, replays or discards just that message
   * is not bounded here, but such a statement takes a few seconds at most.
   *
   * @param idleMs after so many milliseconds without a statement the server ends the transaction; undefined:
   * no limit is set
   * @throws InboxBusyError
   */
  async end(
    on: Queryable,
    key: InboxKey,
    state: 'done' | 'dead',
    waitMs: number,
    idleMs?: number,
  ): Promise<'new' | 'done' | 'dead'> {
    const values = keyValues(key);
    // To PostgreSQL, 0 would mean a wait without a limit.
    const bound = String(Math.max(1, Math.ceil(waitMs)));
    try {
      const { rowCount } = await on.query(
        idleMs === undefined
          ? this.#end.with([...values, state])
          : this.#endWithLimit.with([
              ...values,
              state,
              String(Math.min(Math.ceil(idleMs), MOST_IDLE_MS)),
            ]),
      );
      if (rowCount === 1) return 'new';
      for (;;) {
        // This is a statement of its own, so that its snapshot includes the row that the insert has
        // waited for.
        const known = await on.query<StateRow>(this.#known.with(values));
        if (known.rows[0]?.state != null) return known.rows[0].state;
        // Another transaction is about to end the message, or its row was removed in between: pruned,
        // or cleared for a replay.
        const { rows } = await on.query<StateRow>(this.#endOrWait.with([...values, state, bound]));
        if (rows[0]?.state != null) return 'new';
      }
    } catch (error) {
      throw isLockTimeout(error) ? InboxBusyError.ofMessage(key, waitMs, error) : error;
    }
  }
}

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

export function keyValues({ tenant, group, source, id }: InboxKey): string[] {
  return [tenant, group, source, id];
}
