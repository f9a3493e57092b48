import { setTimeout as sleep } from 'node:timers/promises';
import {
  checkDeadLetterFilter,
  landedPart,
  landingChannel,
  MOST_COUNTED,
  originalOf,
  SLOT_COUNT,
  type DeadLetterFilter,
  type DeadLetterOutcome,
  type InboxDeadLetter,
  type InboxKey,
  type WakeUps,
} from '@sagaz/core';
import { apart, epochMs, type SagazPool, type SchemaName } from '../connection/index.js';
import { BYTE_COLUMNS, LANES, queuedMessage, type MessageRow } from '../slots/index.js';
import { LANDING, queueOf } from './landing-queues.js';

interface LetterRow extends MessageRow {
  readonly group_name: string;
  readonly blocks: boolean;
  readonly reason: string | null;
  readonly error: string | null;
  readonly died_at: number;
}

/** How often a call tries dead letters that are locked, and the pause in between, in milliseconds. */
const TRIES = 10;
const PAUSE_MS = 100;
/** How many dead letters one statement moves: each locks a row and a lease. */
const AT_ONCE = 200;

const DEAD = String(LANES.dead_letter);
const DEFAULT_PAGE = 50;

/** Messages that consumer groups gave up: rows of their landing queues. */
export class InboxDeadLetters {
  readonly #pool: SagazPool;
  readonly #schema: string;
  readonly #wakeUps: Pick<WakeUps, 'hint'> | undefined;

  constructor(pool: SagazPool, schema: SchemaName, wakeUps: Pick<WakeUps, 'hint'> | undefined) {
    this.#pool = pool;
    this.#schema = schema.quoted;
    this.#wakeUps = wakeUps;
  }

  /** By number, which is the cursor. Each slot is read from its place on, and no further than the page. */
  async list(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    checkDeadLetterFilter(filter);
    const { rows } = await this.#pool.query<LetterRow>({
      text: `SELECT m.* FROM ${this.#schema}.queue q
        CROSS JOIN generate_series(0, ${String(SLOT_COUNT - 1)}) AS s (slot)
        CROSS JOIN LATERAL (
          SELECT substr(q.name, ${String(LANDING.length + 1)}) AS group_name, ${BYTE_COLUMNS},
            o.blocks, o.reason, o.error, ${epochMs('o.died_at')} AS died_at
          FROM ${this.#schema}.message o
          WHERE o.queue = q.id AND o.lane = ${DEAD} AND o.slot = s.slot AND o.seq > $2
            AND ($3::text IS NULL OR o.topic = $3) AND ($4::text IS NULL OR o.type = $4)
            AND ($5::text IS NULL OR o.key = $5)
          ORDER BY o.seq LIMIT $6
        ) AS m
        WHERE CASE WHEN $1::text IS NULL THEN starts_with(q.name, '${LANDING}') ELSE q.name = $1 END
        ORDER BY m.seq LIMIT $6`,
      values: [
        filter.group === undefined ? null : queueOf(filter.group),
        filter.after ?? '0',
        filter.topic === undefined ? null : landedPart(filter.topic),
        filter.type ?? null,
        filter.key === undefined ? null : landedPart(filter.key),
        filter.limit ?? DEFAULT_PAGE,
      ],
    });
    return rows.map(letterOf);
  }

  async count(): Promise<number> {
    const { rows } = await this.#pool.for('count').query<{ count: string }>({
      text: `SELECT count(*) AS count FROM ${this.#schema}.queue q CROSS JOIN LATERAL (
          SELECT m.seq FROM ${this.#schema}.message m WHERE m.queue = q.id AND m.lane = ${DEAD} LIMIT $1
        ) AS m
        WHERE starts_with(q.name, '${LANDING}')`,
      values: [MOST_COUNTED],
    });
    return Number(rows[0]?.count ?? 0);
  }

  /** Puts them back with their old numbers and no attempts. */
  replay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#move(
      keys,
      'landed',
      `UPDATE ${this.#schema}.message m
        SET lane = ${String(LANES.pending)}, attempts = 0, blocks = false, died_at = NULL, reason = NULL,
          error = NULL`,
      'FROM',
    );
  }

  discard(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#move(keys, 'done', `DELETE FROM ${this.#schema}.message m`, 'USING');
  }

  async #move(
    keys: readonly InboxKey[],
    state: 'landed' | 'done',
    change: string,
    from: string,
  ): Promise<readonly DeadLetterOutcome[]> {
    const outcomes: DeadLetterOutcome[] = [];
    for (let at = 0; at < keys.length; at += AT_ONCE) {
      outcomes.push(...(await this.#tryMove(keys.slice(at, at + AT_ONCE), state, change, from)));
    }
    for (const group of new Set(keys.map((key) => key.group))) {
      this.#wakeUps?.hint(landingChannel(group));
    }
    return outcomes;
  }

  /** Most locks are held for a moment, so dead letters that are locked are tried again for a while. */
  async #tryMove(
    keys: readonly InboxKey[],
    state: 'landed' | 'done',
    change: string,
    from: string,
  ): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = new Map<InboxKey, DeadLetterOutcome | 'locked'>();
    let left = keys;
    for (let tries = 1; ; tries += 1) {
      const answers = await apart(
        left,
        (part) => this.#moveTogether(part, state, change, from),
        // A name that the database refuses is that of no dead letter in it.
        () => 'unknown' as const,
      );
      left.forEach((key, at) => outcomes.set(key, answers[at] ?? 'unknown'));
      // A message that is being handled stays busy for as long as its handler takes.
      left = left.filter((key) => outcomes.get(key) === 'locked');
      if (left.length === 0 || tries >= TRIES) break;
      await sleep(PAUSE_MS);
    }
    return keys.map((key) => {
      const outcome = outcomes.get(key) ?? 'unknown';
      return outcome === 'locked' ? 'busy' : outcome;
    });
  }

  /**
   * Locks, without a wait, the lease rows of the slots, as every owner does, then the rows of the inbox, and
   * raises the versions of the slots: an owner starts from the beginning again and reads anew which keys are
   * held, and so finds both the message at its old place and what it held back.
   */
  async #moveTogether(
    keys: readonly InboxKey[],
    state: 'landed' | 'done',
    change: string,
    from: string,
  ): Promise<readonly (DeadLetterOutcome | 'locked')[]> {
    const schema = this.#schema;
    const { rows } = await this.#pool.query<{ outcome: DeadLetterOutcome | 'locked' }>({
      text: `WITH wanted AS MATERIALIZED (
          SELECT k.*, q.id AS queue, q.name AS queue_name
          FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
            WITH ORDINALITY AS k (tenant, group_name, source, id, place)
          LEFT JOIN ${schema}.queue q ON q.name = '${LANDING}' || k.group_name
        ), found AS MATERIALIZED (
          SELECT DISTINCT m.queue, m.slot, m.seq, k.queue_name, k.tenant, k.group_name, k.source, k.id
          FROM wanted k JOIN ${schema}.message m ON m.queue = k.queue AND m.lane = ${DEAD}
            AND m.id = k.id AND m.source = k.source AND m.tenant = k.tenant
        ), slots AS MATERIALIZED (
          SELECT l.queue, l.slot FROM ${schema}.slot_lease l
          WHERE (l.queue, l.slot) IN (SELECT f.queue_name, f.slot FROM found f)
          ORDER BY l.queue, l.slot FOR NO KEY UPDATE SKIP LOCKED
        ), letters AS MATERIALIZED (
          SELECT f.* FROM found f
          JOIN slots s ON s.queue = f.queue_name AND s.slot = f.slot
          JOIN ${schema}.inbox i ON i.tenant = f.tenant AND i.group_name = f.group_name
            AND i.source = f.source AND i.id = f.id AND i.state = 'dead'
          ORDER BY i.id, i.source, i.group_name, i.tenant FOR NO KEY UPDATE OF i SKIP LOCKED
        ), moved AS (
          ${change} ${from} letters f
          WHERE m.queue = f.queue AND m.lane = ${DEAD} AND m.slot = f.slot AND m.seq = f.seq
          RETURNING f.tenant, f.group_name, f.source, f.id, f.queue_name, f.slot
        ), ended AS (
          UPDATE ${schema}.inbox i SET state = $5, claimed_at = clock_timestamp() FROM moved f
          WHERE i.tenant = f.tenant AND i.group_name = f.group_name AND i.source = f.source AND i.id = f.id
        ), raised AS (
          UPDATE ${schema}.slot_lease l SET version = l.version + 1
          WHERE (l.queue, l.slot) IN (SELECT f.queue_name, f.slot FROM moved f)
        )
        SELECT CASE
          WHEN v.id IS NOT NULL THEN 'done'
          WHEN i.state = 'done' THEN 'ended'
          WHEN i.state = 'landed' THEN CASE WHEN $5 = 'landed' THEN 'done' ELSE 'busy' END
          WHEN f.id IS NOT NULL THEN 'locked'
          ELSE 'unknown' END AS outcome
        FROM wanted k
        LEFT JOIN moved v USING (tenant, group_name, source, id)
        LEFT JOIN found f USING (tenant, group_name, source, id)
        LEFT JOIN ${schema}.inbox i USING (tenant, group_name, source, id)
        ORDER BY k.place`,
      values: [
        keys.map(({ tenant }) => tenant),
        keys.map(({ group }) => group),
        keys.map(({ source }) => source),
        keys.map(({ id }) => id),
        state,
      ],
    });
    return rows.map(({ outcome }) => outcome);
  }
}

function letterOf(row: LetterRow): InboxDeadLetter {
  return {
    cursor: row.seq,
    group: row.group_name,
    message: originalOf(queuedMessage(row).message),
    attempts: row.attempts,
    blocks: row.blocks,
    reason: row.reason ?? '',
    error: row.error ?? '',
    diedAt: new Date(row.died_at),
  };
}
