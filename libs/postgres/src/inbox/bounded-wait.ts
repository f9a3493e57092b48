import { InboxBusyError, type InboxKey } from '@sagaz/core';
import { isLockTimeout, type Queryable } from '../connection/index.js';

/**
 * Runs statements of a transaction that wait at most `waitMs` for each lock. The bound that the transaction had
 * before applies again afterwards; if the wait is over, the transaction can only be rolled back.
 *
 * @throws InboxBusyError
 */
export async function waitingAtMost<T>(
  on: Queryable,
  key: InboxKey,
  waitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const { rows } = await on.query<{ before: string }>({
    text: `WITH bound AS MATERIALIZED (SELECT current_setting('lock_timeout') AS before)
      SELECT before, set_config('lock_timeout', $1, true) AS bound FROM bound`,
    values: [boundOf(waitMs)],
  });
  let result: T;
  try {
    result = await work();
  } catch (error) {
    throw isLockTimeout(error) ? InboxBusyError.ofMessage(key, waitMs, error) : error;
  }
  await on.query({
    text: `SELECT set_config('lock_timeout', $1, true)`,
    values: [rows[0]?.before ?? '0'],
  });
  return result;
}

/** To PostgreSQL, 0 would mean a wait without a limit. */
export function boundOf(waitMs: number): string {
  return String(Math.max(1, Math.ceil(waitMs)));
}

/**
 * SQL that has the server end the transaction after so many ms without a statement. A shorter limit that the
 * session has already, the operator's for instance, stays. Never null.
 *
 * @param limit SQL of a text
 */
export function limitIdleness(limit: string): string {
  return `CASE
        WHEN current_setting('idle_in_transaction_session_timeout') = '0'
          OR current_setting('idle_in_transaction_session_timeout')::interval > (${limit} || ' ms')::interval
        THEN set_config('idle_in_transaction_session_timeout', ${limit}, true) ELSE '' END`;
}
