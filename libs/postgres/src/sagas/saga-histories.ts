import {
  LATEST_DATA_CHARACTERS,
  type EntryPlace,
  type LatestEntriesLook,
  type RecordedEntry,
} from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { entriesOf, type JournalRow, type OutputRow } from './journal-rows.js';
import { UUID } from './uuid.js';

interface EntryRow {
  readonly saga_id: string;
  readonly revision: number;
  readonly ordinal: number;
  readonly transition_id: string;
  readonly kind: string;
  readonly step: string | null;
  readonly item: string | null;
  readonly attempt: number;
  readonly data: string | null;
  readonly recorded_at: number;
}

/**
 * Reads the journals of sagas, each in order, with the large data that lies apart from them. `leave`: data that
 * is read on demand is left where it is; its size is known without reading it.
 */
export async function readHistories(
  on: Queryable,
  schema: SchemaName,
  ids: readonly string[],
  onDemand: 'read' | 'leave',
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
      text: `SELECT saga_id, revision, ordinal, octet_length(data) AS bytes,
          CASE WHEN on_demand AND $2 THEN NULL ELSE data END AS data
        FROM ${schema.quoted}.saga_output WHERE saga_id = ANY ($1::uuid[])`,
      values: [sagas, onDemand === 'leave'],
    });
    return rows;
  });
}

/** Reads large data of a saga at these places, in their order, up to the one that brings it to the bound. */
export async function readData(
  on: Queryable,
  schema: SchemaName,
  id: string,
  places: readonly EntryPlace[],
  bytes: number,
): Promise<readonly (string | null)[]> {
  const { rows } = await on.query<{ data: string | null }>({
    text: `SELECT r.data FROM (
        SELECT p.place, o.data, sum(coalesce(octet_length(o.data), 0))
          OVER (ORDER BY p.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM unnest($2::int[], $3::int[]) WITH ORDINALITY AS p (revision, ordinal, place)
        LEFT JOIN ${schema.quoted}.saga_output o
          ON o.saga_id = $1 AND o.revision = p.revision AND o.ordinal = p.ordinal
      ) AS r
      WHERE r.before IS NULL OR r.before < $4::bigint ORDER BY r.place`,
    values: [
      id,
      places.map(({ revision }) => revision),
      places.map(({ ordinal }) => ordinal),
      bytes,
    ],
  });
  return rows.map(({ data }) => data);
}

/**
 * Reads the newest entry of each kind, step and item from the last transitions of journals. The bound is on
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
    text: `SELECT l.saga_id, l.revision, l.ordinal, l.transition_id, l.kind, l.step, l.item, l.attempt,
        substr(coalesce(l.data, o.data), 1, $4) AS data,
        ${epochMs('l.recorded_at')} AS recorded_at
      FROM unnest($1::uuid[]) AS given (id)
      CROSS JOIN LATERAL (
        SELECT DISTINCT ON (e.kind COLLATE "C", e.step COLLATE "C", e.item COLLATE "C")
          j.saga_id, j.revision, j.transition_id, j.recorded_at, e.ordinal, e.kind, e.step, e.item, e.attempt,
          CASE WHEN e.kind = ANY ($3::text[]) THEN e.data END AS data
        FROM ${journal} j CROSS JOIN LATERAL ${schema.quoted}.entries_of(j.entries) AS e
        WHERE j.saga_id = given.id
          AND j.revision > (SELECT max(n.revision) FROM ${journal} n WHERE n.saga_id = given.id) - $2::int
        ORDER BY e.kind COLLATE "C", e.step COLLATE "C", e.item COLLATE "C", j.revision DESC, e.ordinal DESC
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
      item: row.item,
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
