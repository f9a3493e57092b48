import {
  FINAL_STATUSES,
  type RemovedSagas,
  type SagaRetention,
  type SharedTask,
} from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';
import type { PartitionUpkeep } from '../partitions/index.js';

/** A place in the order of keys by age. */
interface KeyPlace {
  readonly created_at: string;
  readonly saga_id: string;
}

const OLDEST: KeyPlace = {
  created_at: '-infinity',
  saga_id: '00000000-0000-0000-0000-000000000000',
};

/** How often partitions are looked at, in milliseconds. */
const LOOK_MS = 30_000;
/** For so long after its time a row waits for its day to be dropped, in milliseconds. */
const DAY_WAITS_MS = 2 * 86_400_000;

/** The times after which rows are removed although their day could not be dropped. */
function later(keep: SagaRetention): SagaRetention {
  const after = (ms: number | null): number | null => (ms === null ? null : ms + DAY_WAITS_MS);
  return {
    completed: after(keep.completed),
    compensated: after(keep.compensated),
    partially_committed: after(keep.partially_committed),
    terminated: after(keep.terminated),
    keys: keep.keys,
  };
}

/** Removes what has been kept for long enough, in small statements. */
export class SagaRemoval {
  readonly #on: Queryable;
  readonly #schema: SchemaName;
  /** Where the keys go on that were not looked at; those of sagas that go on are passed once. */
  #keysAfter = OLDEST;
  readonly #partitions: Pick<PartitionUpkeep, 'round'>;
  #partitioned = false;
  #lookAt = Number.NEGATIVE_INFINITY;

  constructor(on: Queryable, schema: SchemaName, partitions: Pick<PartitionUpkeep, 'round'>) {
    this.#on = on;
    this.#schema = schema;
    this.#partitions = partitions;
  }

  /** In tables that are partitioned by day, whole days go first, and rows only where they hold up a day. */
  async remove(keep: SagaRetention, limit: number): Promise<RemovedSagas> {
    const failed = await this.#lookAfterPartitions(keep).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    const rows = this.#partitioned ? later(keep) : keep;
    const sagas = await removeEnded(this.#on, this.#schema, rows, limit);
    const { keys, more } = await this.#removeKeys(keep.keys, limit);
    if (failed !== null) throw failed.error;
    return { sagas, keys, more: more || sagas >= limit };
  }

  /** Once in a turn, which has many batches. */
  async #lookAfterPartitions(keep: SagaRetention): Promise<void> {
    const now = performance.now();
    if (now < this.#lookAt) return;
    this.#lookAt = now + LOOK_MS;
    this.#partitioned = await this.#partitions.round(keep);
  }

  async #removeKeys(
    keepMs: number | null,
    limit: number,
  ): Promise<{ readonly keys: number; readonly more: boolean }> {
    if (keepMs === null) return { keys: 0, more: false };
    const schema = this.#schema.quoted;
    const { rows } = await this.#on.query<{ removed: number; read: number } & Partial<KeyPlace>>({
      text: `WITH page AS MATERIALIZED (
          SELECT k.key, k.name, k.tenant, k.saga_id, k.created_at FROM ${schema}.saga_key k
          WHERE (k.created_at, k.saga_id) > ($1::timestamptz, $2::uuid)
            AND k.created_at < (SELECT clock_timestamp()) - $3::float8 * interval '1 millisecond'
          ORDER BY k.created_at, k.saga_id LIMIT $4
        ), old AS MATERIALIZED (
          SELECT k.key, k.name, k.tenant FROM (SELECT * FROM page ORDER BY key, name, tenant) AS p CROSS JOIN LATERAL (
            SELECT k.key, k.name, k.tenant FROM ${schema}.saga_key k
            WHERE k.key = p.key AND k.name = p.name AND k.tenant = p.tenant AND k.saga_id = p.saga_id
            FOR UPDATE SKIP LOCKED
          ) k
          WHERE (SELECT s.id FROM ${schema}.saga s WHERE s.id = p.saga_id) IS NULL
        ), removed AS (
          DELETE FROM ${schema}.saga_key k USING old o
          WHERE k.key = o.key AND k.name = o.name AND k.tenant = o.tenant
          RETURNING 1
        ), last AS (
          SELECT p.created_at, p.saga_id FROM page p ORDER BY p.created_at DESC, p.saga_id DESC LIMIT 1
        )
        SELECT (SELECT count(*)::int FROM removed) AS removed, (SELECT count(*)::int FROM page) AS read,
          (SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM last) AS created_at,
          (SELECT saga_id FROM last) AS saga_id`,
      values: [this.#keysAfter.created_at, this.#keysAfter.saga_id, keepMs, limit],
    });
    const [row] = rows;
    const more = row !== undefined && row.read >= limit;
    const { created_at: createdAt, saga_id: sagaId } = row ?? {};
    this.#keysAfter =
      more && createdAt !== undefined && sagaId !== undefined
        ? { created_at: createdAt, saga_id: sagaId }
        : OLDEST;
    return { keys: row?.removed ?? 0, more };
  }
}

/** Takes a turn by writing when the next one is due. The row's lock lets one of several callers have it. */
export async function takeTurn(
  on: Queryable,
  schema: SchemaName,
  task: SharedTask,
  everyMs: number,
): Promise<boolean> {
  const { rowCount } = await on.query({
    text: `UPDATE ${schema.quoted}.shared_task
      SET due_at = clock_timestamp() + $2::float8 * interval '1 millisecond'
      WHERE task = $1 AND due_at <= clock_timestamp()`,
    values: [task, everyMs],
  });
  return rowCount === 1;
}

/**
 * Removes sagas that ended so long ago that their status is not kept any more, with their journals, outputs
 * and mail: for each status the oldest first, along the index. What another transaction has locked, an engine
 * is bringing back.
 */
async function removeEnded(
  on: Queryable,
  schemaName: SchemaName,
  keep: SagaRetention,
  limit: number,
): Promise<number> {
  const schema = schemaName.quoted;
  const statuses = FINAL_STATUSES.filter((status) => keep[status] !== null);
  if (statuses.length === 0) return 0;
  const { rows } = await on.query<{ removed: number }>({
    text: `WITH old AS MATERIALIZED (
        SELECT o.id FROM unnest($1::text[], $2::float8[]) AS k (status, keep_ms) CROSS JOIN LATERAL (
          SELECT e.id FROM ${schema}.saga_ended e
          WHERE e.status = k.status AND e.ended_at < (SELECT clock_timestamp()) - k.keep_ms * interval '1 millisecond'
          ORDER BY e.ended_at LIMIT $3 FOR UPDATE SKIP LOCKED
        ) o
        LIMIT $3
      ), journal AS (
        DELETE FROM ${schema}.saga_journal j WHERE j.saga_id = ANY (ARRAY(SELECT id FROM old))
      ), outputs AS (
        DELETE FROM ${schema}.saga_output o WHERE o.saga_id = ANY (ARRAY(SELECT id FROM old))
      ), mail AS (
        DELETE FROM ${schema}.saga_mail m WHERE m.saga_id = ANY (ARRAY(SELECT id FROM old))
      ), removed AS (
        DELETE FROM ${schema}.saga_ended e WHERE e.id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1
      )
      SELECT count(*)::int AS removed FROM removed`,
    values: [statuses, statuses.map((status) => keep[status]), limit],
  });
  return rows[0]?.removed ?? 0;
}
