import type { ClaimRequest, LoadedSaga, Mail, RecordedEntry, RunnableSaga } from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { ownersOf } from './saga-owners.js';
import { definitionsOf, type Definitions } from './definitions.js';
import { HEADER_COLUMNS, headerOf, type HeaderRow } from './saga-rows.js';
import { readHistories } from './saga-histories.js';
import { readMail } from './saga-mail.js';

interface ClaimedRow extends HeaderRow {
  readonly adopted_from: string | null;
}

/** Claims sagas for engines, and loads them. */
export class SagaClaimer {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #definitions: Definitions;
  #turn = 0;

  constructor(pool: Queryable, schema: SchemaName, definitions: Definitions) {
    this.#pool = pool;
    this.#schema = schema;
    this.#definitions = definitions;
  }

  /**
   * One statement that takes, two that load once the claim is committed. It does not wait: rows that
   * another claimer or a transition has locked are skipped.
   *
   * Due sagas are read definition by definition, so that those which this engine cannot run cost nothing.
   * The definitions take turns in being the first, since the first fill the claim.
   *
   * Orphaned sagas are looked for every time and not once when an engine dies, because a transaction
   * that started a saga for that engine may commit long after. Their owners are found by hopping from
   * one owner to the next along the index, so that the look costs a few pages however many sagas are
   * owned. Their sagas are asked for as a range in the order of that index: for "equal, at most 100"
   * the planner reads the whole table, because it expects to meet 100 soon, and where there are none
   * never does.
   *
   * A saga that has ended and has mail about a late effect becomes a saga of the claimer again.
   */
  async claim(request: ClaimRequest): Promise<readonly LoadedSaga[]> {
    const schema = this.#schema.quoted;
    const runnable = definitionsOf(request.definitions, request.format);
    if (runnable.length === 0 || request.limit <= 0) return [];
    this.#turn = (this.#turn + 1) % runnable.length;
    const numbers = await this.#definitions.numbersOf([
      ...runnable.slice(this.#turn),
      ...runnable.slice(0, this.#turn),
    ]);
    const { rows } = await this.#pool.query<ClaimedRow>({
      text: `WITH RECURSIVE ${ownersOf(schema)}, dead (owner) AS MATERIALIZED (
          SELECT o.owner FROM owners o
          WHERE o.owner IS NOT NULL
            AND NOT EXISTS (SELECT FROM ${schema}.engine e WHERE e.incarnation = o.owner)
        ), due AS MATERIALIZED (
          SELECT o.id, o.owner FROM unnest($2::int[]) AS d (number) CROSS JOIN LATERAL (
            SELECT s.id, s.owner FROM ${schema}.saga s
            WHERE s.definition = d.number AND s.owner IS NULL AND s.wake_at <= statement_timestamp()
            ORDER BY s.wake_at LIMIT $3 FOR UPDATE OF s SKIP LOCKED
          ) o
          LIMIT $3
        ), mailed AS MATERIALIZED (
          SELECT s.id, s.owner FROM ${schema}.saga s
          WHERE s.id = ANY ($4::uuid[]) AND s.owner IS NULL AND s.definition = ANY ($2)
            AND ${hasMail(schema, 's.id')}
          ORDER BY s.id LIMIT $3 FOR UPDATE OF s SKIP LOCKED
        ), orphaned AS MATERIALIZED (
          SELECT o.id, o.owner FROM dead d CROSS JOIN unnest($2::int[]) AS n (number) CROSS JOIN LATERAL (
            SELECT s.id, s.owner FROM ${schema}.saga s
            WHERE s.owner >= d.owner AND s.owner <= d.owner AND s.definition = n.number
            ORDER BY s.owner, s.definition, s.id LIMIT $3 FOR UPDATE OF s SKIP LOCKED
          ) o
          LIMIT $3
        ), late AS MATERIALIZED (
          SELECT e.id, NULL::uuid AS owner FROM ${schema}.saga_ended e
          WHERE e.id = ANY ($4::uuid[]) AND e.definition = ANY ($2)
            AND ${hasMail(schema, 'e.id', "AND m.kind = 'late'")}
          ORDER BY e.id LIMIT $3 FOR UPDATE OF e SKIP LOCKED
        ), taken AS (
          SELECT id, owner FROM due UNION SELECT id, owner FROM mailed UNION SELECT id, owner FROM orphaned
          UNION SELECT id, owner FROM late
          LIMIT $3
        ), fitting AS MATERIALIZED (${fitting(schema, 'taken', '$5')}), claimed AS (
          UPDATE ${schema}.saga s
          SET owner = $1, epoch = s.epoch + 1, wake_at = NULL, updated_at = clock_timestamp()
          FROM fitting AS f
          WHERE s.id = f.id
          RETURNING ${HEADER_COLUMNS}, f.owner AS adopted_from
        ), back AS (
          DELETE FROM ${schema}.saga_ended e
          WHERE e.id = ANY (ARRAY(SELECT l.id FROM late l JOIN fitting USING (id)))
          RETURNING e.*
        ), again AS (
          INSERT INTO ${schema}.saga AS s (id, definition, tenant, key, status, revision, owner, epoch, deadline, created_at)
          SELECT b.id, b.definition, b.tenant, b.key, b.status, b.revision, $1, b.epoch + 1, b.deadline, b.created_at
          FROM back b
          RETURNING ${HEADER_COLUMNS}, NULL::uuid AS adopted_from
        )
        SELECT * FROM claimed UNION ALL SELECT * FROM again`,
      values: [
        request.incarnation,
        numbers,
        request.limit,
        request.mailed ?? [],
        request.bytes ?? ANY_BYTES,
        request.format,
      ],
    });
    return this.#complete(rows);
  }

  async owned(incarnation: string): Promise<readonly string[]> {
    const { rows } = await this.#pool.query<{ id: string }>({
      text: `SELECT s.id FROM ${this.#schema.quoted}.saga s WHERE s.owner = $1 ORDER BY s.id`,
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
          SELECT s.id, s.owner FROM ${schema}.saga s WHERE s.id = ANY ($1::uuid[]) AND s.owner = $2
        ), fitting AS (${fitting(schema, 'mine', '$3')})
        SELECT ${HEADER_COLUMNS}, NULL::uuid AS adopted_from
        FROM fitting JOIN ${schema}.saga s ON s.id = fitting.id`,
      values: [ids, incarnation, bytes],
    });
    return this.#complete(rows);
  }

  async nextDueInMs(definitions: readonly RunnableSaga[], format: number): Promise<number | null> {
    const numbers = await this.#definitions.numbersOf(definitionsOf(definitions, format));
    const { rows } = await this.#pool.query<{ ms: number | null }>({
      text: `SELECT ${epochMs('min(o.wake_at) - clock_timestamp()')} AS ms
        FROM unnest($1::int[]) AS d (number) CROSS JOIN LATERAL (
          SELECT s.wake_at FROM ${this.#schema.quoted}.saga s
          WHERE s.definition = d.number AND s.owner IS NULL AND s.wake_at IS NOT NULL
          ORDER BY s.wake_at LIMIT 1
        ) o`,
      values: [numbers],
    });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, ms);
  }

  async #complete(rows: readonly ClaimedRow[]): Promise<readonly LoadedSaga[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const on: Queryable = this.#pool;
    const [nameOf, histories, mail] = [
      await this.#definitions.named(rows),
      await readHistories(on, this.#schema, ids, 'leave'),
      await readMail(on, this.#schema, ids),
    ];
    return rows.map((row) => ({
      ...headerOf(row, nameOf(row)),
      entries: histories.get(row.id) ?? NO_ENTRIES,
      mail: mail.get(row.id) ?? NO_MAIL,
      adoptedFrom: row.adopted_from,
    }));
  }
}

/** SQL condition: whether the saga has unread mail that the claimer takes into account. */
function hasMail(schema: string, id: string, only = ''): string {
  return `EXISTS (
              SELECT FROM ${schema}.saga_mail m
              WHERE m.saga_id = ${id} AND m.format <= $6 ${only}
            )`;
}

/**
 * SQL for those of the sagas in `from` that are taken: all up to the one that brings their journals and their
 * mail to the bound. The size of a value is known without reading it. Data that is read on demand is not loaded.
 */
function fitting(schema: string, from: string, bound: string): string {
  const size = (table: string, column: string, only = ''): string =>
    `coalesce((SELECT sum(octet_length(x.${column})) FROM ${schema}.${table} x WHERE x.saga_id = f.id${only}), 0)`;
  return `
          SELECT sized.id, sized.owner FROM (
            SELECT f.id, f.owner, sum(${size('saga_journal', 'entries')} + ${size('saga_output', 'data', ' AND NOT x.on_demand')} + ${size('saga_mail', 'data')})
              OVER (ORDER BY f.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM ${from} f
          ) AS sized
          WHERE sized.before IS NULL OR sized.before < ${bound}::bigint
        `;
}

const ANY_BYTES = 2 ** 50;
const NO_ENTRIES: readonly RecordedEntry[] = [];
const NO_MAIL: readonly Mail[] = [];
