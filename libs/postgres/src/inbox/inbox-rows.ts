import { hashOfLine, hashOfMessage, type InboxKey, type InboxLine } from '@sagaz/core';
import { Prepared } from '../connection/index.js';
import { LANES } from '../slots/index.js';

/** The columns of the inbox's primary key, in the order of {@link keyValues}. */
export const KEY_COLUMNS = 'tenant, group_name, source, id';

/** SQL condition: the row `alias` of the inbox has the key $1 to $4. */
export function hasKey(alias: string): string {
  return `${alias}.tenant = $1 AND ${alias}.group_name = $2 AND ${alias}.source = $3 AND ${alias}.id = $4`;
}

export function keyValues({ tenant, group, source, id }: InboxKey): string[] {
  return [tenant, group, source, id];
}

/** The number of the lock that all handlers of a message's key take, or of the message if it has no order. */
export function lockOf(key: InboxKey, line: InboxLine | undefined): string {
  const { group, tenant, source, id } = key;
  return line === undefined
    ? hashOfMessage(group, tenant, source, id)
    : hashOfLine(group, line.tenant, line.topic, line.key);
}

/** Takes the lock $1 until the end of the transaction. */
export const LOCK = new Prepared('SELECT pg_advisory_xact_lock($1::bigint)');

/**
 * SQL: whether a landed message holds the key whose hash is the parameter. A row holds its key unless it is a
 * dead letter that does not block; the condition is that of the index. ORDER BY and LIMIT keep the planner on
 * the index, also when statistics say that all rows are of this key, or that there are none.
 *
 * @param below SQL of a number: only rows with lower ones count
 */
export function holds(schema: string, hash: string, below?: string): string {
  return `(SELECT l.seq FROM ${schema}.message l
      WHERE l.key_hash = ${hash} AND (l.lane <> ${String(LANES.dead_letter)} OR l.blocks)${below === undefined ? '' : ` AND l.seq < ${below}`}
      ORDER BY l.key_hash, l.seq LIMIT 1) IS NOT NULL`;
}
