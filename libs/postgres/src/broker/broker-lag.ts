import { MOST_COUNTED, type GroupLag } from '@sagaz/core';
import { epochMs, type SagazPool, type SchemaName } from '../connection/index.js';
import { LANES, UNROUTED_LANE } from '../slots/index.js';

interface LagRow {
  /** Null: no group has joined the topic. */
  readonly group: string | null;
  readonly topic: string;
  readonly messages: string;
  readonly oldest_ms: number | null;
}

/** The most entries that are answered, as `Broker.lag` promises. */
const MOST_ENTRIES = 1_000;
/** The lanes in which messages wait for their group. */
const WAITING = [LANES.pending, LANES.retrying, LANES.held];

/**
 * Counts for each group, by topic, the first {@link MOST_COUNTED} rows of each status that wait, and as many
 * rows of messages without a group.
 */
export async function readLag(
  pool: SagazPool,
  { quoted }: SchemaName,
): Promise<readonly GroupLag[]> {
  const { rows } = await pool.for('count').query<LagRow>({
    text: `SELECT lag.name AS group, lag.topic, sum(lag.counted) AS messages,
        ${epochMs('clock_timestamp() - min(lag.since)')} AS oldest_ms
      FROM (
        SELECT g.name, l.topic, l.counted, l.since
        FROM ${quoted}.queue g CROSS JOIN LATERAL ${quoted}.topic_lag(g.id, $2::integer[], $1) AS l
        UNION ALL
        SELECT g.name, s.topic, 0, NULL
        FROM ${quoted}.queue g JOIN ${quoted}.subscription s ON s.queue = g.id
        UNION ALL
        SELECT NULL, l.topic, l.counted, l.since
        FROM ${quoted}.topic_lag(0, $3::integer[], $1) AS l
      ) AS lag
      GROUP BY lag.name, lag.topic
      ORDER BY sum(lag.counted) DESC, lag.name, lag.topic LIMIT $4`,
    values: [MOST_COUNTED, WAITING, [UNROUTED_LANE], MOST_ENTRIES],
  });
  return rows.map(({ group, topic, messages, oldest_ms }) => ({
    group,
    topic,
    messages: Number(messages),
    oldestAgeMs: Math.max(0, oldest_ms ?? 0),
  }));
}
