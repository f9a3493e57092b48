import {
  MOST_SAGAS_COUNTED,
  QUEUED_STATUSES,
  SAGA_STATUSES,
  type KeptCounts,
  type SagaStatus,
  type StoreCounts,
} from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';

/**
 * Counts the sagas that have not ended, up to a bound. Those that need a person are counted apart along their
 * index, since they are few, and beyond the bound a count by status is that of the first rows.
 */
export async function countSagas(
  on: Queryable,
  schema: SchemaName,
): Promise<ReadonlyMap<SagaStatus, number>> {
  const saga = `${schema.quoted}.saga`;
  const { rows } = await on.query<{ status: SagaStatus; n: string }>({
    text: `SELECT c.status, count(*) AS n FROM (SELECT s.status FROM ${saga} s LIMIT $1) c
        WHERE c.status <> 'needs_attention' GROUP BY c.status
      UNION ALL
      SELECT 'needs_attention', count(*) FROM (
        SELECT s.id FROM ${saga} s WHERE s.status = 'needs_attention' ORDER BY s.id LIMIT $1
      ) c HAVING count(*) > 0`,
    values: [MOST_SAGAS_COUNTED],
  });
  return new Map(rows.map(({ status, n }) => [status, Number(n)]));
}

/** The counts as the row has them. */
interface CountsRow {
  readonly counts: {
    readonly sagas: Readonly<Record<string, number>>;
    readonly outbox: Readonly<Record<string, number>>;
    readonly oldestPendingMs: number | null;
    readonly deadLetters: number;
    /** Absent: a process of an earlier version counted. */
    readonly landings?: StoreCounts['landings'];
  };
  readonly age_ms: number;
}

export async function keepCounts(
  on: Queryable,
  schema: SchemaName,
  { sagas, outbox, oldestPendingMs, deadLetters, landings }: StoreCounts,
): Promise<void> {
  const counts: CountsRow['counts'] = {
    sagas: Object.fromEntries(sagas),
    outbox: Object.fromEntries(outbox),
    oldestPendingMs,
    deadLetters,
    landings,
  };
  await on.query({
    text: `INSERT INTO ${schema.quoted}.store_counts AS c (counts) VALUES ($1)
      ON CONFLICT (one) DO UPDATE SET counts = excluded.counts, counted_at = excluded.counted_at`,
    values: [JSON.stringify(counts)],
  });
}

export async function keptCounts(on: Queryable, schema: SchemaName): Promise<KeptCounts | null> {
  const { rows } = await on.query<CountsRow>({
    text: `SELECT c.counts, ${epochMs('clock_timestamp() - c.counted_at')} AS age_ms
      FROM ${schema.quoted}.store_counts c`,
  });
  const [row] = rows;
  if (row === undefined) return null;
  const { sagas, outbox, oldestPendingMs, deadLetters, landings = [] } = row.counts;
  return {
    sagas: countsOf(SAGA_STATUSES, sagas),
    outbox: countsOf(QUEUED_STATUSES, outbox),
    oldestPendingMs,
    deadLetters,
    landings,
    ageMs: Math.max(0, row.age_ms),
  };
}

/** The counts of these statuses; a process of a later version may have counted further ones. */
function countsOf<Status extends string>(
  statuses: readonly Status[],
  counts: Readonly<Record<string, number>>,
): ReadonlyMap<Status, number> {
  return new Map(
    statuses.flatMap((status) => {
      const counted = counts[status];
      return counted === undefined ? [] : [[status, counted] as const];
    }),
  );
}
