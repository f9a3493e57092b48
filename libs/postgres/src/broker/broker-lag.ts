import { MOST_COUNTED, type BrokerLag } from '@sagaz/core';
import { epochMs, type SagazPool, type SchemaName } from '../connection/index.js';
import { inLanes, UNROUTED_LANE } from '../slots/index.js';

interface LagRow {
  /** Null: topics without a group. */
  readonly group: string | null;
  readonly waiting: string;
  readonly oldest_ms: number | null;
}

/**
 * Counts for each group the first {@link MOST_COUNTED} rows of each status that wait, and as many rows of
 * messages without a group.
 */
export async function readLag(pool: SagazPool, { quoted }: SchemaName): Promise<BrokerLag> {
  const { rows } = await pool.for('count').query<LagRow>({
    text: `SELECT g.name AS group, waiting.counted AS waiting, ${epochMs('clock_timestamp() - waiting.since')} AS oldest_ms
      FROM ${quoted}.queue g CROSS JOIN LATERAL (
        SELECT coalesce(sum(c.counted), 0) AS counted, min(c.since) AS since
        FROM ${quoted}.message_counts(g.id, $1) AS c WHERE ${inLanes('c', 'pending', 'retrying', 'held')}
      ) AS waiting
      UNION ALL
      SELECT NULL, c.counted, ${epochMs('clock_timestamp() - c.since')}
      FROM ${quoted}.message_counts(0, $1) AS c WHERE c.lane = ${String(UNROUTED_LANE)}`,
    values: [MOST_COUNTED],
  });
  return lagOf(rows);
}

function lagOf(rows: readonly LagRow[]): BrokerLag {
  const backlog = (row: LagRow | undefined) => ({
    waiting: Number(row?.waiting ?? 0),
    oldestMs: Math.max(0, row?.oldest_ms ?? 0),
  });
  return {
    groups: rows.flatMap((row) =>
      row.group === null ? [] : [{ group: row.group, ...backlog(row) }],
    ),
    unrouted: backlog(rows.find(({ group }) => group === null)),
  };
}
