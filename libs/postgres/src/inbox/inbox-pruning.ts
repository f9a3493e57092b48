import type { Queryable, SchemaName } from '../connection/index.js';

/**
 * Deletes at most `limit` rows of each table, oldest first. Rows are found by an index, locked where
 * nobody else has them, and deleted by their place, so that a batch costs the same however large the
 * table is. What a running transaction has claimed is not visible yet, and so never found.
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
      // A dead letter under replay whose message is done needs the row until its letter is gone.
      where: `r.state = 'done' AND r.claimed_at < clock_timestamp() - $2 * interval '1 millisecond'
        AND NOT EXISTS (
          SELECT FROM ${quoted}.inbox_dead_letter AS l
          WHERE l.tenant = r.tenant AND l.group_name = r.group_name AND l.source = r.source AND l.id = r.id
        )`,
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
