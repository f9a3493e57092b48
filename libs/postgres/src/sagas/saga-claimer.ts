import type { ClaimRequest, LoadedSaga, Mail, RecordedEntry } from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { HEADER_COLUMNS, headerOf, type HeaderRow } from './saga-rows.js';
import { readHistories } from './saga-queries.js';
import { readMail } from './saga-mail.js';

interface ClaimedRow extends HeaderRow {
  readonly adopted_from: string | null;
}

/** Claims sagas for engines, and loads them. */
export class SagaClaimer {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;

  constructor(pool: Queryable, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /**
   * One statement that takes, two that load once the claim is committed. It does not wait: rows that
   * another claimer or a transition has locked are skipped.
   *
   * Orphaned sagas are looked for every time and not once when an engine dies, because a transaction
   * that started a saga for that engine may commit long after. Their owners are found by hopping from
   * one owner to the next along the index, so that the look costs a few pages however many sagas are
   * owned. Their sagas are asked for as a range in the order of that index: for "equal, at most 100"
   * the planner reads the whole table, because it expects to meet 100 soon, and where there are none
   * never does.
   */
  async claim(request: ClaimRequest): Promise<readonly LoadedSaga[]> {
    const schema = this.#schema.quoted;
    const names: string[] = [];
    const versions: number[] = [];
    for (const { name, versions: known } of request.definitions) {
      for (const version of known) {
        names.push(name);
        versions.push(version);
      }
    }
    if (names.length === 0 || request.limit <= 0) return [];
    const { rows } = await this.#pool.query<ClaimedRow>({
      text: `WITH RECURSIVE owners (owner) AS (
          (SELECT s.owner FROM ${schema}.saga s WHERE s.owner IS NOT NULL ORDER BY s.owner LIMIT 1)
          UNION ALL
          SELECT (SELECT s.owner FROM ${schema}.saga s WHERE s.owner > o.owner ORDER BY s.owner LIMIT 1)
          FROM owners o WHERE o.owner IS NOT NULL
        ), dead (owner) AS MATERIALIZED (
          SELECT o.owner FROM owners o
          WHERE o.owner IS NOT NULL
            AND NOT EXISTS (SELECT FROM ${schema}.engine e WHERE e.incarnation = o.owner)
        ), due AS MATERIALIZED (
          SELECT s.id, s.owner FROM ${schema}.saga s
          WHERE s.owner IS NULL AND s.wake_at <= statement_timestamp()
            AND (s.name, s.version) IN (SELECT * FROM unnest($2::text[], $3::int[]))
          ORDER BY s.wake_at LIMIT $4 FOR UPDATE OF s SKIP LOCKED
        ), mailed AS MATERIALIZED (
          SELECT s.id, s.owner FROM ${schema}.saga s
          WHERE s.id = ANY (ARRAY(
              SELECT m.saga_id FROM ${schema}.saga_mail m WHERE $5::text[] IS NULL OR m.kind = ANY ($5)
            ))
            AND s.owner IS NULL AND ${open(schema)}
            AND (s.name, s.version) IN (SELECT * FROM unnest($2::text[], $3::int[]))
          ORDER BY s.id LIMIT $4 FOR UPDATE OF s SKIP LOCKED
        ), orphaned AS MATERIALIZED (
          SELECT o.id, o.owner FROM dead d CROSS JOIN LATERAL (
            SELECT s.id, s.owner FROM ${schema}.saga s
            WHERE s.owner >= d.owner AND s.owner <= d.owner AND ${open(schema)}
              AND (s.name, s.version) IN (SELECT * FROM unnest($2::text[], $3::int[]))
            ORDER BY s.owner LIMIT $4 FOR UPDATE OF s SKIP LOCKED
          ) o
          LIMIT $4
        ), taken AS (
          SELECT id, owner FROM due UNION SELECT id, owner FROM mailed UNION SELECT id, owner FROM orphaned
          LIMIT $4
        ), fitting AS (${fitting(schema, 'taken', '$6')})
        UPDATE ${schema}.saga s
        SET owner = $1, epoch = s.epoch + 1, wake_at = NULL, updated_at = clock_timestamp()
        FROM fitting AS taken
        WHERE s.id = taken.id
        RETURNING ${HEADER_COLUMNS}, taken.owner AS adopted_from`,
      values: [
        request.incarnation,
        names,
        versions,
        request.limit,
        request.mailKinds ?? null,
        request.bytes ?? ANY_BYTES,
      ],
    });
    return this.#complete(rows);
  }

  async owned(incarnation: string): Promise<readonly string[]> {
    const schema = this.#schema.quoted;
    const { rows } = await this.#pool.query<{ id: string }>({
      text: `SELECT s.id FROM ${schema}.saga s WHERE s.owner = $1 AND ${open(schema)} ORDER BY s.id`,
      values: [incarnation],
    });
    return rows.map(({ id }) => id);
  }

  async load(
    ids: readonly string[],
    incarnation: string,
    bytes = ANY_BYTES,
  ): Promise<readonly LoadedSaga[]> {
    if (ids.length === 0) return [];
    const schema = this.#schema.quoted;
    const { rows } = await this.#pool.query<ClaimedRow>({
      text: `WITH mine AS MATERIALIZED (
          SELECT s.id, s.owner FROM ${schema}.saga s
          WHERE s.id = ANY ($1::uuid[]) AND s.owner = $2 AND ${open(schema)}
        ), fitting AS (${fitting(schema, 'mine', '$3')})
        SELECT ${HEADER_COLUMNS}, NULL::uuid AS adopted_from
        FROM fitting JOIN ${schema}.saga s ON s.id = fitting.id`,
      values: [ids, incarnation, bytes],
    });
    return this.#complete(rows);
  }

  async nextDueInMs(): Promise<number | null> {
    const { rows } = await this.#pool.query<{ ms: number | null }>({
      text: `SELECT ${epochMs('min(wake_at) - clock_timestamp()')} AS ms
        FROM ${this.#schema.quoted}.saga WHERE owner IS NULL AND wake_at IS NOT NULL`,
    });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, ms);
  }

  async #complete(rows: readonly ClaimedRow[]): Promise<readonly LoadedSaga[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const on: Queryable = this.#pool;
    const [histories, mail] = [
      await readHistories(on, this.#schema, ids),
      await readMail(on, this.#schema, ids),
    ];
    return rows.map((row) => ({
      ...headerOf(row),
      entries: histories.get(row.id) ?? NO_ENTRIES,
      mail: mail.get(row.id) ?? NO_MAIL,
      adoptedFrom: row.adopted_from,
    }));
  }
}

/**
 * SQL condition: whether the saga may have work left. It has not ended, or it has ended and a late
 * effect was reported afterwards.
 */
export function open(schema: string): string {
  return `(s.status <> ALL (${FINAL}) OR EXISTS (
              SELECT FROM ${schema}.saga_mail l WHERE l.saga_id = s.id AND l.kind = 'late'
            ))`;
}

/**
 * SQL for those of the sagas in `from` that are taken: all up to the one that brings their journals and their
 * mail to the bound. The size of a value is known without reading it.
 */
function fitting(schema: string, from: string, bound: string): string {
  const size = (table: string, column: string): string =>
    `coalesce((SELECT sum(octet_length(x.${column})) FROM ${schema}.${table} x WHERE x.saga_id = f.id), 0)`;
  return `
          SELECT sized.id, sized.owner FROM (
            SELECT f.id, f.owner, sum(${size('saga_journal', 'entries')} + ${size('saga_output', 'data')} + ${size('saga_mail', 'data')})
              OVER (ORDER BY f.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM ${from} f
          ) AS sized
          WHERE sized.before IS NULL OR sized.before < ${bound}::bigint
        `;
}

const ANY_BYTES = 2 ** 50;
const FINAL = "'{completed,compensated,partially_committed,terminated}'::text[]";
const NO_ENTRIES: readonly RecordedEntry[] = [];
const NO_MAIL: readonly Mail[] = [];
