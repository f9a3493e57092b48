import {
  GroupExistsError,
  GroupInUseError,
  hashOfLine,
  MOST_COUNTED,
  originalOf,
  UnknownGroupError,
  type LandingBacklog,
  type Message,
  type Retirement,
} from '@sagaz/core';
import {
  epochMs,
  inPlainText,
  type Queryable,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { inLanes, LANES, queuedMessage, BYTE_COLUMNS, type MessageRow } from '../slots/index.js';
import { LANDING, queueOf } from './landing-queues.js';

/** More unserved queues have one common cause. */
const MOST_UNSERVED = 100;
/** How many rows get their new hash in one statement. */
const AT_ONCE = 5_000;

const WAITING = ['pending', 'retrying', 'held'] as const;

interface BacklogRow {
  readonly group_name: string;
  readonly waiting: string | null;
  readonly oldest_ms: number | null;
}

interface HashedRow {
  readonly lane: number;
  readonly slot: number;
  readonly seq: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
}

/** The landing queues of all groups in a database. */
export class PgLandingGroups {
  readonly #pool: SagazPool;
  readonly #schema: string;

  constructor(pool: SagazPool, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema.quoted;
  }

  async backlog(): Promise<readonly LandingBacklog[]> {
    const { rows } = await this.#pool.for('count').query<BacklogRow>({
      text: `SELECT ${this.#groupName('q')} AS group_name, c.waiting, c.oldest_ms
        FROM ${this.#schema}.queue q CROSS JOIN LATERAL (${this.#counts('q')}) AS c
        WHERE starts_with(q.name, '${LANDING}')`,
    });
    return rows.map(backlogOf);
  }

  /** The members come first, so that nothing is read of queues that are served. */
  async unserved(): Promise<readonly LandingBacklog[]> {
    const { rows } = await this.#pool.for('count').query<BacklogRow>({
      text: `WITH idle AS MATERIALIZED (
          SELECT q.id, q.name FROM ${this.#schema}.queue q
          WHERE starts_with(q.name, '${LANDING}') AND NOT EXISTS (
            SELECT FROM ${this.#schema}.slot_member s
            WHERE s.queue = q.name AND s.expires_at > clock_timestamp()
          )
        )
        SELECT ${this.#groupName('q')} AS group_name, c.waiting, c.oldest_ms
        FROM idle q CROSS JOIN LATERAL (${this.#counts('q')}) AS c
        WHERE EXISTS (
            SELECT FROM generate_series(0, 255) AS s (slot) CROSS JOIN LATERAL (
              (SELECT 1 FROM ${this.#schema}.message m
                WHERE m.queue = q.id AND ${inLanes('m', 'pending')} AND m.slot = s.slot
                ORDER BY m.seq LIMIT 1)
              UNION ALL
              (SELECT 1 FROM ${this.#schema}.message m
                WHERE m.queue = q.id AND ${inLanes('m', 'retrying')} AND m.slot = s.slot
                  AND m.due_at <= (SELECT clock_timestamp())
                ORDER BY m.due_at LIMIT 1)
            ) AS head
          )
        LIMIT $1`,
      values: [MOST_UNSERVED],
    });
    return rows.map(backlogOf);
  }

  /** In a transaction of the caller. */
  async rename(on: Queryable, from: string, to: string): Promise<number> {
    const schema = this.#schema;
    const { rows: queues } = await on.query<{ id: number; name: string }>({
      text: `SELECT q.id, q.name FROM ${schema}.queue q WHERE q.name = ANY ($1)
        ORDER BY q.id FOR UPDATE`,
      values: [[queueOf(from), queueOf(to)]],
    });
    const own = queues.find(({ name }) => name === queueOf(from));
    if (own === undefined) throw new UnknownGroupError(from, 'The store');
    for (const group of [from, to]) await this.#refuseLiving(on, group, 'renamed');
    await this.#removeEmpty(on, to, queues.find(({ name }) => name === queueOf(to))?.id);
    const values = [from, to];
    await on.query({
      text: `UPDATE ${schema}.inbox_attempt SET group_name = $2 WHERE group_name = $1`,
      values,
    });
    const { rowCount } = await on.query({
      text: `UPDATE ${schema}.inbox SET group_name = $2 WHERE group_name = $1`,
      values,
    });
    await this.#rehash(on, own.id, to);
    await on.query({
      text: `DELETE FROM ${schema}.slot_member WHERE queue = $1`,
      values: [queueOf(from)],
    });
    // A process that was taken for dead finds no lease under the old name, and so ends nothing.
    await on.query({
      text: `UPDATE ${schema}.slot_lease
        SET queue = $2, owner = NULL, epoch = epoch + 1, version = version + 1, crashes = 0, suspect = NULL
        WHERE queue = $1`,
      values: [queueOf(from), queueOf(to)],
    });
    await on.query({
      text: `UPDATE ${schema}.queue SET name = $2 WHERE id = $1`,
      values: [own.id, queueOf(to)],
    });
    return rowCount ?? 0;
  }

  /**
   * In a transaction of the caller. The rows of the inbox are written first, as by whoever ends a message: a
   * handler of a process that was taken for dead has ended its message before, or does not at all.
   */
  async retire(
    on: Queryable,
    group: string,
    { reason, error }: Retirement,
    limit: number,
  ): Promise<readonly Message[]> {
    const schema = this.#schema;
    const { rows: queues } = await on.query<{ id: number }>({
      text: `SELECT q.id FROM ${schema}.queue q WHERE q.name = $1`,
      values: [queueOf(group)],
    });
    const [queue] = queues;
    if (queue === undefined) throw new UnknownGroupError(group, 'The store');
    await this.#refuseLiving(on, group, 'retired');
    const { rows } = await on.query<MessageRow>({
      text: `WITH wanted AS MATERIALIZED (
          SELECT m.lane, m.slot, m.seq, m.id, m.source, m.tenant FROM ${schema}.message m
          WHERE m.queue = $1 AND ${inLanes('m', ...WAITING)}
          ORDER BY m.queue, m.lane, m.slot, m.seq LIMIT $2
        ), ended AS (
          UPDATE ${schema}.inbox i SET state = 'dead', claimed_at = clock_timestamp() FROM wanted w
          WHERE i.id = w.id AND i.source = w.source AND i.group_name = $3 AND i.tenant = w.tenant
            AND i.state = 'landed'
          RETURNING w.lane, w.slot, w.seq, w.id, w.source, w.tenant
        ), forgotten AS (
          DELETE FROM ${schema}.inbox_attempt a USING ended e
          WHERE a.tenant = e.tenant AND a.group_name = $3 AND a.source = e.source AND a.id = e.id
        ), raised AS (
          UPDATE ${schema}.slot_lease l SET version = l.version + 1
          WHERE l.queue = $4 AND l.slot IN (SELECT e.slot FROM ended e)
        ), dead AS (
          UPDATE ${schema}.message m
          SET lane = ${String(LANES.dead_letter)}, due_at = NULL, died_at = clock_timestamp(),
            error = $5, reason = $6, blocks = false
          FROM ended e
          WHERE m.queue = $1 AND m.lane = e.lane AND m.slot = e.slot AND m.seq = e.seq
          RETURNING m.*
        )
        SELECT ${BYTE_COLUMNS} FROM dead o ORDER BY o.seq`,
      values: [queue.id, limit, group, queueOf(group), inPlainText(error), inPlainText(reason)],
    });
    return rows.map((row) => originalOf(queuedMessage(row).message));
  }

  /** @throws GroupInUseError */
  async #refuseLiving(on: Queryable, group: string, undone: 'renamed' | 'retired'): Promise<void> {
    const { rows } = await on.query<{ processes: string }>({
      text: `SELECT count(*) AS processes FROM ${this.#schema}.slot_member s
        WHERE s.queue = $1 AND s.expires_at > clock_timestamp()`,
      values: [queueOf(group)],
    });
    const processes = Number(rows[0]?.processes ?? 0);
    if (processes > 0) throw new GroupInUseError(group, processes, undone);
  }

  /** Removes a queue in which nothing is. @throws GroupExistsError */
  async #removeEmpty(on: Queryable, group: string, number: number | undefined): Promise<void> {
    const schema = this.#schema;
    const { rows } = await on.query<{ used: boolean }>({
      text: `SELECT EXISTS (SELECT FROM ${schema}.message m WHERE m.queue = $1)
        OR EXISTS (SELECT FROM ${schema}.inbox i WHERE i.group_name = $2) AS used`,
      values: [number ?? 0, group],
    });
    if (rows[0]?.used !== false) throw new GroupExistsError(group);
    const values = [queueOf(group)];
    for (const table of ['slot_lease', 'slot_member']) {
      await on.query({ text: `DELETE FROM ${schema}.${table} WHERE queue = $1`, values });
    }
    await on.query({ text: `DELETE FROM ${schema}.queue WHERE name = $1`, values });
    await on.query({
      text: `DELETE FROM ${schema}.inbox_attempt WHERE group_name = $1`,
      values: [group],
    });
  }

  /** The hash of a key has the name of its group in it. */
  async #rehash(on: Queryable, queue: number, group: string): Promise<void> {
    let after: readonly unknown[] = [-1, -1, '0'];
    for (;;) {
      const { rows } = await on.query<HashedRow>({
        text: `SELECT m.lane, m.slot, m.seq, m.tenant, m.topic, m.key FROM ${this.#schema}.message m
          WHERE m.queue = $1 AND (m.lane, m.slot, m.seq) > ($2, $3, $4) AND m.key_hash IS NOT NULL
          ORDER BY m.queue, m.lane, m.slot, m.seq LIMIT $5`,
        values: [queue, ...after, AT_ONCE],
      });
      const last = rows.at(-1);
      if (last === undefined) return;
      await on.query({
        text: `UPDATE ${this.#schema}.message m SET key_hash = r.hash
          FROM unnest($2::integer[], $3::integer[], $4::bigint[], $5::bigint[]) AS r (lane, slot, seq, hash)
          WHERE m.queue = $1 AND m.lane = r.lane AND m.slot = r.slot AND m.seq = r.seq`,
        values: [
          queue,
          rows.map(({ lane }) => lane),
          rows.map(({ slot }) => slot),
          rows.map(({ seq }) => seq),
          rows.map(({ tenant, topic, key }) => hashOfLine(group, tenant, topic, key)),
        ],
      });
      if (rows.length < AT_ONCE) return;
      after = [last.lane, last.slot, last.seq];
    }
  }

  #groupName(queue: string): string {
    return `substr(${queue}.name, ${String(LANDING.length + 1)})`;
  }

  #counts(queue: string): string {
    return `SELECT sum(n.counted) AS waiting, ${epochMs('clock_timestamp() - min(n.since)')} AS oldest_ms
      FROM ${this.#schema}.message_counts(${queue}.id, ${String(MOST_COUNTED)}) AS n
      WHERE n.lane <= ${String(LANES.held)}`;
  }
}

function backlogOf({ group_name: group, waiting, oldest_ms }: BacklogRow): LandingBacklog {
  return { group, waiting: Number(waiting ?? 0), oldestMs: Math.max(0, oldest_ms ?? 0) };
}
