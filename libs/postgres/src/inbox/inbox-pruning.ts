import type { Queryable, SchemaName } from '../connection/index.js';

/**
 * Deletes at most `limit` rows of each table, oldest first. Rows are found by an index, locked if no
 * other transaction has locked them, and deleted by their ctid, so that the cost of a batch does not
 * depend on the size of the table. Rows of a running transaction are not visible yet and are therefore
 * never found.
 */
export async function prune(
  on: Queryable,
  schema: SchemaName,
  doneMs: number,
  limit: number,
): Promise<number> {
  const { quoted } = schema;
  const kinds = [
    {
      table: 'inbox',
      where: `r.state = 'done' AND r.claimed_at < clock_timestamp() - $2 * interval '1 millisecond'`,
      order: 'claimed_at',
      values: [limit, doneMs],
    },
    {
      table: 'participant',
      where: 'r.keep_until < clock_timestamp()',
      order: 'keep_until',
      values: [limit],
    },
    {
      table: 'inbox_attempt',
      where: `r.noted_at < clock_timestamp() - $2 * interval '1 millisecond'`,
      order: 'noted_at',
      values: [limit, doneMs],
    },
  ];
  let gone = 0;
  for (const { table, where, order, values } of kinds) {
    const { rowCount } = await on.query({
      text: `DELETE FROM ${quoted}.${table} WHERE ctid = ANY (ARRAY(
          SELECT r.ctid FROM ${quoted}.${table} AS r WHERE ${where}
          ORDER BY r.${order} LIMIT $1 FOR UPDATE OF r SKIP LOCKED
        ))`,
      values,
    });
    gone += rowCount ?? 0;
  }
  return gone;
}
