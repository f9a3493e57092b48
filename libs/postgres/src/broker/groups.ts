import { GroupInUseError, UnknownGroupError, type UnservedQueue } from '@sagaz/core';
import {
  epochMs,
  type PooledClient,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { inLanes, UNROUTED_LANE } from '../slots/index.js';
import { topicLocks } from './publisher.js';

/** The most unserved queues that are listed; more of them have one common cause. */
const MOST_UNSERVED = 100;
/** How many messages of a removed group are deleted at a time. */
const STEP = 10_000;

/** SQL condition: the message belongs to no group yet. That of the index of such messages. */
const UNROUTED = `m.lane = ${String(UNROUTED_LANE)}`;

/** Lists unserved consumer groups, and removes one. */
export class Groups {
  readonly #pool: SagazPool;
  readonly #schema: string;

  constructor(pool: SagazPool, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema.quoted;
  }

  /**
   * One statement. It reads the first row of each slot and the first one that is due, and only for
   * groups without a living process. Topics without a group are found by steps along their index.
   */
  async unserved(): Promise<readonly UnservedQueue[]> {
    const schema = this.#schema;
    const { rows } = await this.#pool.for('count').query<{
      kind: 'group' | 'topic';
      name: string;
      oldest_ms: number;
    }>({
      text: `WITH RECURSIVE topic AS (
          (SELECT m.topic, m.created_at FROM ${schema}.message m
            WHERE ${UNROUTED} ORDER BY m.topic, m.seq LIMIT 1)
          UNION ALL
          SELECT next.topic, next.created_at FROM topic
          CROSS JOIN LATERAL (
            SELECT m.topic, m.created_at FROM ${schema}.message m
            WHERE ${UNROUTED} AND m.topic > topic.topic ORDER BY m.topic, m.seq LIMIT 1
          ) AS next
        )
        (SELECT 'group' AS kind, g.name, ${epochMs('clock_timestamp() - oldest.since')} AS oldest_ms
          FROM ${schema}.queue g
          CROSS JOIN LATERAL (
            SELECT min(head.since) AS since FROM (
              SELECT first.since FROM (SELECT slot FROM ${schema}.slot_lease WHERE queue = g.name) AS l
              CROSS JOIN LATERAL (
                (SELECT m.created_at AS since FROM ${schema}.message m
                  WHERE m.queue = g.id AND ${inLanes('m', 'pending')} AND m.slot = l.slot
                  ORDER BY m.seq LIMIT 1)
                UNION ALL
                (SELECT m.due_at FROM ${schema}.message m
                  WHERE m.queue = g.id AND ${inLanes('m', 'retrying')} AND m.slot = l.slot
                    AND m.due_at <= (SELECT clock_timestamp())
                  ORDER BY m.due_at LIMIT 1)
              ) AS first
            ) AS head
          ) AS oldest
          WHERE oldest.since IS NOT NULL AND NOT EXISTS (
            SELECT FROM ${schema}.slot_member s WHERE s.queue = g.name AND s.expires_at > clock_timestamp()
          )
          LIMIT $1)
        UNION ALL
        (SELECT 'topic', t.topic, ${epochMs('clock_timestamp() - t.created_at')}
          FROM (SELECT * FROM topic LIMIT $1) AS t
          WHERE NOT EXISTS (SELECT FROM ${schema}.subscription s WHERE s.topic = t.topic))
        LIMIT $1`,
      values: [MOST_UNSERVED],
    });
    return rows.map(({ kind, name, oldest_ms }) => ({
      kind,
      name,
      oldestMs: Math.max(0, oldest_ms),
    }));
  }

  /**
   * The group loses its name and its topics in one transaction, under the locks of the topics: no
   * publisher writes for it after that, and a process that joins under the name makes a new group. Its
   * messages are deleted after that, step by step; a removal that was interrupted goes on when it is
   * called again.
   *
   * @throws GroupInUseError, UnknownGroupError
   */
  async remove(group: string): Promise<number> {
    // A removal that was interrupted is only completed.
    if (!group.startsWith(REMOVED)) await this.#dissolve(group);
    const { rows } = await this.#pool.query<{ id: number }>({
      text: `SELECT id FROM ${this.#schema}.queue WHERE starts_with(name, $1)`,
      values: [REMOVED],
    });
    let removed = 0;
    for (const { id } of rows) removed += await this.#deleteMessages(id);
    return removed;
  }

  async #dissolve(group: string): Promise<void> {
    const client = await this.#pool.connect();
    try {
      await client.query({ text: 'BEGIN' });
      await this.#dissolveIn(client, group);
      await client.query({ text: 'COMMIT' });
      client.release();
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  async #dissolveIn(client: PooledClient, group: string): Promise<void> {
    const schema = this.#schema;
    const { rows: topics } = await client.query<{ topic: string }>({
      text: `SELECT s.topic FROM ${schema}.subscription s
        JOIN ${schema}.queue g ON g.id = s.queue WHERE g.name = $1`,
      values: [group],
    });
    for (const lock of topicLocks(topics.map(({ topic }) => topic))) {
      await client.query({
        text: 'SELECT pg_advisory_xact_lock(1396786500, $1)',
        values: [lock],
      });
    }
    const { rows } = await client.query<{ id: number; processes: string }>({
      text: `SELECT g.id, (
          SELECT count(*) FROM ${schema}.slot_member s
          WHERE s.queue = g.name AND s.expires_at > clock_timestamp()
        ) AS processes
        FROM ${schema}.queue g WHERE g.name = $1 FOR UPDATE OF g`,
      values: [group],
    });
    const [found] = rows;
    if (found === undefined) throw new UnknownGroupError(group);
    const processes = Number(found.processes);
    if (processes > 0) throw new GroupInUseError(group, processes);
    await client.query({
      text: `DELETE FROM ${schema}.subscription WHERE queue = $1`,
      values: [found.id],
    });
    await client.query({
      text: `UPDATE ${schema}.queue SET name = $2 WHERE id = $1`,
      values: [found.id, `${REMOVED}${String(found.id)}`],
    });
    for (const table of ['slot_lease', 'slot_member']) {
      await client.query({
        text: `DELETE FROM ${schema}.${table} WHERE queue = $1`,
        values: [group],
      });
    }
  }

  async #deleteMessages(id: number): Promise<number> {
    let removed = 0;
    for (;;) {
      const { rowCount } = await this.#pool.query({
        text: `DELETE FROM ${this.#schema}.message WHERE ctid = ANY (ARRAY(
          SELECT m.ctid FROM ${this.#schema}.message m WHERE m.queue = $1 LIMIT $2
        ))`,
        values: [id, STEP],
      });
      removed += rowCount ?? 0;
      if ((rowCount ?? 0) < STEP) break;
    }
    await this.#pool.query({
      text: `DELETE FROM ${this.#schema}.queue WHERE id = $1`,
      values: [id],
    });
    return removed;
  }
}

/**
 * The beginning of the name of a group that is being removed. No service can have such a name, because
 * it contains blanks.
 */
const REMOVED = 'removed group ';
