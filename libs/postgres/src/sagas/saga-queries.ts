import { checkSagaFilter, LATEST_DATA_CHARACTERS } from '@sagaz/core';
import type {
  LatestEntriesLook,
  RecordedEntry,
  SagaFilter,
  SagaStatus,
  SagaSummary,
} from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { entriesOf, type JournalRow, type OutputRow } from './journal-rows.js';
import { HEADER_COLUMNS, summaryOf, type SummaryRow } from './saga-rows.js';

interface EntryRow {
  readonly saga_id: string;
  readonly revision: number;
  readonly ordinal: number;
  readonly transition_id: string;
  readonly kind: string;
  readonly step: string | null;
  readonly attempt: number;
  readonly data: string | null;
  readonly recorded_at: number;
}

const SUMMARY_COLUMNS = `${HEADER_COLUMNS}, ${epochMs('s.created_at')} AS created_at, ${epochMs('s.updated_at')} AS updated_at`;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export async function getSaga(
  on: Queryable,
  schema: SchemaName,
  id: string,
): Promise<SagaSummary | null> {
  // An id that is no UUID names no saga, and would cause an error as a value for the column.
  if (!UUID.test(id)) return null;
  const { rows } = await on.query<SummaryRow>({
    text: `SELECT ${SUMMARY_COLUMNS} FROM ${schema.quoted}.saga s WHERE s.id = $1`,
    values: [id],
  });
  const [row] = rows;
  return row === undefined ? null : summaryOf(row);
}

export async function readStatuses(
  on: Queryable,
  schema: SchemaName,
  ids: readonly string[],
): Promise<ReadonlyMap<string, SagaStatus>> {
  const known = ids.filter((id) => UUID.test(id));
  if (known.length === 0) return new Map();
  const { rows } = await on.query<{ id: string; status: SagaStatus }>({
    text: `SELECT s.id, s.status FROM ${schema.quoted}.saga s WHERE s.id = ANY ($1::uuid[])`,
    values: [known],
  });
  // PostgreSQL returns ids in lower case, also if the request has another form.
  const statuses = new Map(rows.map(({ id, status }) => [id, status]));
  return new Map(
    known.flatMap((id) => {
      const status = statuses.get(id.toLowerCase());
      return status === undefined ? [] : [[id, status] as const];
    }),
  );
}

/** Lists sagas, newest first, since ids are ordered by time. */
export async function findSagas(
  on: Queryable,
  schema: SchemaName,
  filter: SagaFilter,
): Promise<readonly SagaSummary[]> {
  checkSagaFilter(filter);
  const values: unknown[] = [];
  const conditions: string[] = [];
  const where = (condition: string, value: unknown): void => {
    values.push(value);
    conditions.push(condition.replace('?', `$${String(values.length)}`));
  };
  if (filter.tenant !== undefined) where('s.tenant = ?', filter.tenant);
  if (filter.name !== undefined) where('s.name = ?', filter.name);
  if (filter.key !== undefined) where('s.key = ?', filter.key);
  if (filter.statuses !== undefined) where('s.status = ANY (?::text[])', filter.statuses);
  if (filter.before !== undefined) where('s.id < ?::uuid', filter.before);
  values.push(filter.limit ?? 50);
  const { rows } = await on.query<SummaryRow>({
    text: `SELECT ${SUMMARY_COLUMNS} FROM ${schema.quoted}.saga s
      ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
      ORDER BY s.id DESC LIMIT $${String(values.length)}`,
    values,
  });
  return rows.map(summaryOf);
}

/** Reads the journals of sagas, each in order, with the large data that lies apart from them. */
export async function readHistories(
  on: Queryable,
  schema: SchemaName,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
  const known = ids.filter((id) => UUID.test(id));
  const journal = await on.query<JournalRow>({
    text: `SELECT saga_id, revision, transition_id, entries, ${epochMs('recorded_at')} AS recorded_at
      FROM ${schema.quoted}.saga_journal WHERE saga_id = ANY ($1::uuid[])
      ORDER BY saga_id, revision`,
    values: [known],
  });
  return entriesOf(journal.rows, async (sagas) => {
    // Written together with the journal, and never changed: what the rows tell of is there.
    const { rows } = await on.query<OutputRow>({
      text: `SELECT saga_id, revision, ordinal, data FROM ${schema.quoted}.saga_output
        WHERE saga_id = ANY ($1::uuid[])`,
      values: [sagas],
    });
    return rows;
  });
}

/**
 * Reads the newest entry of each kind and step from the last transitions of journals. The bound is on
 * revisions and not a LIMIT, because with a LIMIT near the usual length of a journal the planner reads
 * the whole of a long one and sorts it. Large data lies apart, and is read of the newest entries alone.
 */
export async function readLatestEntries(
  on: Queryable,
  schema: SchemaName,
  { ids, transitions, dataOf }: LatestEntriesLook,
): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
  const known = ids.filter((id) => UUID.test(id));
  if (known.length === 0) return new Map();
  const journal = `${schema.quoted}.saga_journal`;
  const { rows } = await on.query<EntryRow>({
    text: `SELECT l.saga_id, l.revision, l.ordinal, l.transition_id, l.kind, l.step, l.attempt,
        substr(coalesce(l.data, o.data), 1, $4) AS data,
        ${epochMs('l.recorded_at')} AS recorded_at
      FROM unnest($1::uuid[]) AS given (id)
      CROSS JOIN LATERAL (
        SELECT DISTINCT ON (e.kind COLLATE "C", e.step COLLATE "C")
          j.saga_id, j.revision, j.transition_id, j.recorded_at, e.ordinal, e.kind, e.step, e.attempt,
          CASE WHEN e.kind = ANY ($3::text[]) THEN e.data END AS data
        FROM ${journal} j CROSS JOIN LATERAL ${schema.quoted}.entries_of(j.entries) AS e
        WHERE j.saga_id = given.id
          AND j.revision > (SELECT max(n.revision) FROM ${journal} n WHERE n.saga_id = given.id) - $2::int
        ORDER BY e.kind COLLATE "C", e.step COLLATE "C", j.revision DESC, e.ordinal DESC
      ) AS l
      LEFT JOIN ${schema.quoted}.saga_output o
        ON o.saga_id = l.saga_id AND o.revision = l.revision AND o.ordinal = l.ordinal
          AND l.kind = ANY ($3::text[])
      ORDER BY l.saga_id, l.revision, l.ordinal`,
    values: [known, transitions, dataOf, LATEST_DATA_CHARACTERS],
  });
  const bySaga = new Map<string, RecordedEntry[]>();
  for (const row of rows) {
    const entry: RecordedEntry = {
      kind: row.kind,
      step: row.step,
      attempt: row.attempt,
      data: row.data,
      revision: row.revision,
      ordinal: row.ordinal,
      transitionId: row.transition_id,
      recordedAt: new Date(row.recorded_at),
    };
    const list = bySaga.get(row.saga_id);
    if (list === undefined) bySaga.set(row.saga_id, [entry]);
    else list.push(entry);
  }
  return bySaga;
}

export async function countSagas(
  on: Queryable,
  schema: SchemaName,
): Promise<ReadonlyMap<SagaStatus, number>> {
  const { rows } = await on.query<{ status: SagaStatus; n: string }>({
    text: `SELECT status, count(*) AS n FROM ${schema.quoted}.saga GROUP BY status`,
  });
  return new Map(rows.map(({ status, n }) => [status, Number(n)]));
}
