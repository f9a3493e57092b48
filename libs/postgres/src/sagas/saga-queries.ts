import {
  checkSagaFilter,
  FINAL_STATUSES,
  isFinal,
  type SagaFilter,
  type SagaStatus,
  type SagaSummary,
} from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';
import type { Definitions } from './definitions.js';
import { ENDED_SUMMARY, LIVE_SUMMARY, summaryOf, type SummaryRow } from './saga-rows.js';
import { UUID } from './uuid.js';

/**
 * Questions about sagas. Each is one statement that looks at both lives of a saga: one that ends between
 * two statements would be in neither of them.
 */
export class SagaQueries {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #definitions: Definitions;

  constructor(pool: Queryable, schema: SchemaName, definitions: Definitions) {
    this.#pool = pool;
    this.#schema = schema;
    this.#definitions = definitions;
  }

  async get(id: string, on: Queryable = this.#pool): Promise<SagaSummary | null> {
    if (!UUID.test(id)) return null;
    const schema = this.#schema.quoted;
    const [summary] = await this.#summaries(
      {
        text: `SELECT ${LIVE_SUMMARY} FROM ${schema}.saga s WHERE s.id = $1
          UNION ALL SELECT ${ENDED_SUMMARY} FROM ${schema}.saga_ended e WHERE e.id = $1`,
        values: [id],
      },
      on,
    );
    return summary ?? null;
  }

  async statusesOf(ids: readonly string[]): Promise<ReadonlyMap<string, SagaStatus>> {
    const known = ids.filter((id) => UUID.test(id));
    if (known.length === 0) return new Map();
    const schema = this.#schema.quoted;
    const { rows } = await this.#pool.query<{ id: string; status: SagaStatus }>({
      text: `SELECT s.id, s.status FROM ${schema}.saga s WHERE s.id = ANY ($1::uuid[])
        UNION ALL SELECT e.id, e.status FROM ${schema}.saga_ended e WHERE e.id = ANY ($1::uuid[])`,
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
  find(filter: SagaFilter): Promise<readonly SagaSummary[]> {
    checkSagaFilter(filter);
    return this.#summaries(findSql(this.#schema.quoted, filter), this.#pool);
  }

  async #summaries(
    statement: { readonly text: string; readonly values: unknown[] },
    on: Queryable,
  ): Promise<readonly SagaSummary[]> {
    const { rows } = await on.query<SummaryRow>(statement);
    const nameOf = await this.#definitions.named(rows, on);
    return rows.map((row) => summaryOf(row, nameOf(row)));
  }
}

/**
 * The statement of a list. A list by key begins at the keys. Another one by name or status reads, of the
 * sagas that have ended, the newest of each definition and status along their index: by id alone it would
 * pass all the others, and those of a rare status may be a million sagas apart.
 */
function findSql(schema: string, filter: SagaFilter): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const value = (given: unknown): string => `$${String(values.push(given))}`;
  const limit = `LIMIT ${value(filter.limit ?? 50)}`;
  const live: string[] = [];
  const ended: string[] = [];
  const both = (condition: (row: string) => string): void => {
    live.push(condition('s'));
    ended.push(condition('e'));
  };
  const { tenant, name, key, statuses, before } = filter;
  if (before !== undefined) {
    const id = value(before);
    both((row) => `${row}.id < ${id}::uuid`);
  }
  if (tenant !== undefined) {
    const given = value(tenant);
    both((row) => `${row}.tenant = ${given}`);
  }
  const definitions =
    name === undefined
      ? null
      : `SELECT d.number FROM ${schema}.definition d WHERE d.name = ${value(name)}`;
  if (definitions !== null) live.push(`s.definition = ANY (ARRAY(${definitions}))`);
  if (statuses !== undefined) live.push(`s.status = ANY (${value(statuses)}::text[])`);
  const final = statuses?.filter(isFinal) ?? FINAL_STATUSES;
  const newest = (row: string): string => `ORDER BY ${row}.id DESC ${limit}`;
  const where = (conditions: readonly string[]): string =>
    conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  let endedSql: string;
  if (key !== undefined) {
    const keyed = `SELECT k.saga_id FROM ${schema}.saga_key k WHERE k.key = ${value(key)}`;
    both((row) => `${row}.id = ANY (ARRAY(${keyed}))`);
    if (definitions !== null) ended.push(`e.definition = ANY (ARRAY(${definitions}))`);
    if (statuses !== undefined) ended.push(`e.status = ANY (${value(final)}::text[])`);
    endedSql = `SELECT ${ENDED_SUMMARY} FROM ${schema}.saga_ended e ${where(ended)} ${newest('e')}`;
  } else if (definitions === null && statuses === undefined) {
    endedSql = `SELECT ${ENDED_SUMMARY} FROM ${schema}.saga_ended e ${where(ended)} ${newest('e')}`;
  } else {
    // Of an equal status the order by it says nothing, and by id alone the planner may walk the primary key.
    const one = [
      'e.definition = d.number',
      'e.status >= f.status',
      'e.status <= f.status',
      ...ended,
    ];
    endedSql = `SELECT e.* FROM (${definitions ?? `SELECT d.number FROM ${schema}.definition d`}) AS d
      CROSS JOIN unnest(${value(final)}::text[]) AS f (status) CROSS JOIN LATERAL (
        SELECT ${ENDED_SUMMARY} FROM ${schema}.saga_ended e ${where(one)}
        ORDER BY e.status DESC, e.id DESC ${limit}
      ) AS e ${newest('e')}`;
  }
  return {
    text: `SELECT * FROM (
        (SELECT ${LIVE_SUMMARY} FROM ${schema}.saga s ${where(live)} ${newest('s')})
        UNION ALL (${endedSql})
      ) AS s ${newest('s')}`,
    values,
  };
}
