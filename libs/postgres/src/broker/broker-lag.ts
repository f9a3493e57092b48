import type { BrokerLag } from '@sagaz/core';
import { epochMs, limited, LIMITS, type SagazPool, type SchemaName } from '../connection/index.js';

/**
 * The most rows of a group that are counted. A larger number would not need to be exact, and counting
 * has a cost.
 */
const MOST = 100_000;

interface LagRow {
  /** Null: topics without a group. */
  readonly group: string | null;
  readonly waiting: string;
  readonly oldest_ms: number | null;
}

/**
 * Counts for each group the first {@link MOST} rows along its indexes, and as many rows of messages
 * without a group.
 */
export async function readLag(pool: SagazPool, { quoted }: SchemaName): Promise<BrokerLag> {
  const client = await pool.connect();
  const counting = limited(client, LIMITS.count);
  try {
    await counting.query({ text: 'BEGIN READ ONLY' });
    // Statistics of a queue are always wrong, and a scan of the table would read the rows of all other
    // groups.
    await counting.query({ text: 'SET LOCAL enable_seqscan = off' });
    const { rows } = await counting.query<LagRow>({
      text: `SELECT g.name AS group, waiting.n AS waiting, ${epochMs('clock_timestamp() - waiting.since')} AS oldest_ms
        FROM ${quoted}.consumer_group g
        CROSS JOIN LATERAL (
          SELECT count(*) AS n, min(counted.created_at) AS since FROM (
            (SELECT m.created_at FROM ${quoted}.message m
              WHERE m.consumer_group = g.id AND m.status = 'pending' LIMIT $1)
            UNION ALL
            (SELECT m.created_at FROM ${quoted}.message m
              WHERE m.consumer_group = g.id AND m.status <> 'pending' AND m.status IN ('retrying', 'held')
              LIMIT $1)
            LIMIT $1
          ) AS counted
        ) AS waiting
        UNION ALL
        SELECT NULL, count(*), ${epochMs('clock_timestamp() - min(counted.created_at)')} FROM (
          SELECT m.created_at FROM ${quoted}.message m WHERE m.status = 'unrouted' LIMIT $1
        ) AS counted`,
      values: [MOST],
    });
    await counting.query({ text: 'COMMIT' });
    client.release();
    return lagOf(rows);
  } catch (error) {
    client.release(true);
    throw error;
  }
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
