import { LockTimeoutError, type NewSaga, type StartOutcome } from '@sagaz/core';
import {
  isLockTimeout,
  LIMITS,
  Prepared,
  type Queryable,
  type SchemaName,
} from '../connection/index.js';
import { outboxInsert } from '../outbox/index.js';
import { entryArrays, messageArrays } from './transition-values.js';

/** How long a start of its own waits for another transaction that holds the same key. */
const KEY_WAIT_MS = 10_000;

interface TakenRow {
  readonly place: number;
  readonly id: string | null;
  readonly input_digest: string | null;
}

/** Inserts sagas with everything that belongs to their beginning. */
export class SagaStarter {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #plain: Prepared;
  readonly #sending: Prepared;

  constructor(pool: Queryable, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema;
    this.#plain = new Prepared(insertSql(schema, false));
    this.#sending = new Prepared(insertSql(schema, true));
  }

  /**
   * One statement; a second one where a key was taken. It must be a second one: what a concurrent
   * start committed while the first was waiting for it is not in the first one's snapshot.
   */
  async start(
    sagas: readonly NewSaga[],
    transaction: Queryable | undefined,
  ): Promise<readonly StartOutcome[]> {
    const outcomes: StartOutcome[] = [];
    let left = [...sagas.keys()];
    // Goes round again only where a saga that held the key was removed between the two statements.
    while (left.length > 0) {
      const asked = left.flatMap((at) => sagas[at] ?? []);
      const started = await this.#insert(asked, transaction);
      const refused = left.filter((_, position) => !started.has(position));
      for (const [position, at] of left.entries()) {
        if (started.has(position)) outcomes[at] = { kind: 'started' };
      }
      left = [];
      if (refused.length === 0) break;
      const taken = await this.#taken(
        refused.flatMap((at) => sagas[at] ?? []),
        transaction ?? this.#pool,
      );
      for (const [position, at] of refused.entries()) {
        const row = taken[position];
        if (row?.id == null || row.input_digest === null) left.push(at);
        else outcomes[at] = { kind: 'exists', id: row.id, inputDigest: row.input_digest };
      }
    }
    return outcomes;
  }

  /** The positions of those that were inserted. */
  async #insert(
    sagas: readonly NewSaga[],
    transaction: Queryable | undefined,
  ): Promise<ReadonlySet<number>> {
    const messages = sagas.some((saga) => saga.messages.length > 0);
    const values: unknown[] = [
      sagas.map(({ id }) => id),
      sagas.map(({ tenant }) => tenant),
      sagas.map(({ name }) => name),
      sagas.map(({ version }) => version),
      sagas.map(({ key }) => key),
      sagas.map(({ inputDigest }) => inputDigest),
      sagas.map(({ status }) => status),
      sagas.map(({ owner }) => owner),
      sagas.map(({ wakeInMs }) => wakeInMs),
      sagas.map(({ deadlineInMs }) => deadlineInMs),
      sagas.map(({ transitionId }) => transitionId),
      // In a caller's transaction the wait is the caller's to bound: a setting of ours would stay.
      transaction === undefined ? KEY_WAIT_MS : null,
      ...entryArrays(sagas.map(({ entries }) => entries)),
    ];
    if (messages) values.push(...messageArrays(sagas.map((saga) => saga.messages)));
    const statement = (messages ? this.#sending : this.#plain).with(values);
    try {
      // In a caller's transaction the wait for a key is not bounded here; without a key there is none.
      const waits = sagas.some(({ key }) => key !== null);
      const limit = waits && transaction === undefined ? { limitMs: LIMITS.locked } : {};
      const { rows } = await (transaction ?? this.#pool).query<{ place: number }>({
        ...statement,
        ...limit,
      });
      return new Set(rows.map(({ place }) => place - 1));
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      const keys = sagas.flatMap(({ name, key }) => (key === null ? [] : `${name}: ${key}`));
      throw new LockTimeoutError(`key of a saga (${keys.slice(0, 3).join(', ')})`, KEY_WAIT_MS, {
        cause: error,
      });
    }
  }

  async #taken(sagas: readonly NewSaga[], on: Queryable): Promise<readonly TakenRow[]> {
    const schema = this.#schema.quoted;
    const { rows } = await on.query<TakenRow>({
      text: `SELECT t.place::int AS place, coalesce(k.id, i.id) AS id,
          coalesce(k.input_digest, i.input_digest) AS input_digest
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
          AS t (id, tenant, name, key, place)
        LEFT JOIN ${schema}.saga k ON k.tenant = t.tenant AND k.name = t.name AND k.key = t.key
        LEFT JOIN ${schema}.saga i ON i.id = t.id
        ORDER BY t.place`,
      values: [
        sagas.map(({ id }) => id),
        sagas.map(({ tenant }) => tenant),
        sagas.map(({ name }) => name),
        sagas.map(({ key }) => key),
      ],
    });
    return rows;
  }
}

/**
 * $1 id, $2 tenant, $3 name, $4 version, $5 key, $6 digest, $7 status, $8 owner, $9 wake in ms,
 * $10 deadline in ms, $11 transition id, $12 wait in ms, $13–$18 entries, $19… messages.
 *
 * Rows go in by key, so that two batches with the same keys wait for each other in one order.
 */
function insertSql(schema: SchemaName, messages: boolean): string {
  const sent = messages
    ? `, sent AS (
    ${outboxInsert(schema, 19, 'JOIN placed c ON c.place = m.owner')}
  )`
    : '';
  return `WITH limits AS MATERIALIZED (
    SELECT CASE WHEN $12::int IS NOT NULL THEN set_config('lock_timeout', $12::int::text, true) END AS lock_wait
  ), t AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::float8[], $10::float8[], $11::uuid[])
      WITH ORDINALITY AS t (id, tenant, name, version, key, input_digest, status, owner, wake_ms, deadline_ms, transition_id, place)
  ), inserted AS (
    INSERT INTO ${schema.quoted}.saga
      (id, tenant, name, version, key, input_digest, status, revision, owner, epoch, wake_at, deadline)
    SELECT t.id, t.tenant, t.name, t.version, t.key, t.input_digest, t.status, 0, t.owner,
      CASE WHEN t.owner IS NULL THEN 0 ELSE 1 END,
      CASE WHEN t.owner IS NULL THEN clock_timestamp() + t.wake_ms * interval '1 millisecond' END,
      clock_timestamp() + t.deadline_ms * interval '1 millisecond'
    FROM limits CROSS JOIN t
    ORDER BY t.tenant, t.name, t.key, t.id
    ON CONFLICT DO NOTHING
    RETURNING id
  ), placed AS (
    SELECT min(t.place)::int AS place, t.id FROM inserted JOIN t USING (id) GROUP BY t.id
  ), journal AS (
    INSERT INTO ${schema.quoted}.saga_journal (saga_id, revision, ordinal, transition_id, kind, step, attempt, data)
    SELECT c.id, 0, e.ordinal, t.transition_id, e.kind, e.step, e.attempt, e.data
    FROM unnest($13::int[], $14::int[], $15::text[], $16::text[], $17::int[], $18::text[])
      AS e (place, ordinal, kind, step, attempt, data)
    JOIN placed c ON c.place = e.place
    JOIN t ON t.place = c.place
  )${sent}
  SELECT place FROM placed`;
}
