import { setTimeout as sleep } from 'node:timers/promises';
import { checkDeadLetterFilter, SLOT_COUNT } from '@sagaz/core';
import type { DeadLetterFilter, DeadLetterOutcome, OutboxDeadLetter } from '@sagaz/core';
import { headersOf, LANES, type SlotNames } from '../slots/index.js';
import { apart, epochMs, type Queryable } from '../connection/index.js';

/** How often a call tries letters that are locked, and the pause in between, in milliseconds. */
const TRIES = 20;
const PAUSE_MS = 100;

interface LetterRow {
  readonly seq: string;
  readonly id: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly attempts: number;
  readonly reason: string | null;
  readonly error: string | null;
  readonly died_at: number;
  readonly content_type: string;
  readonly payload: Buffer;
  readonly headers: string;
}

const DEFAULT_PAGE = 50;

/** Lists, replays and discards dead letters of the outbox. */
export class OutboxDeadLetters {
  readonly #db: Queryable;
  readonly #names: SlotNames;

  constructor(db: Queryable, names: SlotNames) {
    this.#db = db;
    this.#names = names;
  }

  /**
   * Lists dead letters by number, which is the cursor. An outbox belongs to no group, so a filter by
   * group finds nothing.
   */
  async list(filter: DeadLetterFilter): Promise<readonly OutboxDeadLetter[]> {
    checkDeadLetterFilter(filter);
    if (filter.group !== undefined) return [];
    const { limit = DEFAULT_PAGE } = filter;
    const { rows } = await this.#db.query<LetterRow>({
      text: `SELECT o.* FROM generate_series(0, ${String(SLOT_COUNT - 1)}) AS s (slot) CROSS JOIN LATERAL (
          SELECT o.seq, o.id, o.tenant, o.topic, o.key, o.type, o.attempts, o.reason, o.error,
            ${epochMs('o.died_at')} AS died_at, o.content_type, o.payload, o.headers::text AS headers
          FROM ${this.#names.table} o
          WHERE ${this.#names.rows('o', 'dead_letter')} AND o.slot = s.slot AND o.seq > $1
            AND ($2::text IS NULL OR o.topic = $2) AND ($3::text IS NULL OR o.type = $3)
            AND ($4::text IS NULL OR o.key = $4)
          ORDER BY o.seq LIMIT $5
        ) AS o
        ORDER BY o.seq LIMIT $5`,
      values: [
        filter.after ?? '0',
        filter.topic ?? null,
        filter.type ?? null,
        filter.key ?? null,
        limit,
      ],
    });
    return rows.map((row) => ({
      cursor: row.seq,
      id: row.id,
      tenant: row.tenant,
      topic: row.topic,
      key: row.key,
      type: row.type,
      attempts: row.attempts,
      reason: row.reason ?? '',
      error: row.error ?? '',
      diedAt: new Date(row.died_at),
      contentType: row.content_type,
      payload: row.payload,
      headers: headersOf(row.headers),
    }));
  }

  /** SQL condition: `o` is a dead letter among `letters`. */
  get #letter(): string {
    return `${this.#names.rows('o', 'dead_letter')} AND o.slot = letters.slot AND o.seq = letters.seq`;
  }

  /** Makes dead letters pending again, with their old numbers and no attempts. */
  replay(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#move(
      ids,
      `UPDATE ${this.#names.table} o
        SET lane = ${String(LANES.pending)}, attempts = 0, blocks = false, died_at = NULL, reason = NULL, error = NULL
        FROM letters WHERE ${this.#letter}`,
    );
  }

  discard(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#move(
      ids,
      `DELETE FROM ${this.#names.table} o USING letters WHERE ${this.#letter}`,
    );
  }

  /**
   * Most locks are held for a moment, so letters that are locked are tried again for a while. The
   * statement itself does not wait for them, because it holds the lease rows of its slots, which their
   * owner must be able to renew.
   */
  async #move(ids: readonly string[], change: string): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = new Map<string, DeadLetterOutcome>();
    let left = ids;
    for (let tries = 1; left.length > 0; tries += 1) {
      const answers = await apart(
        left,
        (part) => this.#moveTogether(part, change),
        // No stored message can have an id that the database refuses.
        () => 'unknown' as const,
      );
      left.forEach((id, at) => outcomes.set(id, answers[at] ?? 'unknown'));
      left = left.filter((id) => outcomes.get(id) === 'busy');
      if (left.length === 0 || tries >= TRIES) break;
      await sleep(PAUSE_MS);
    }
    return ids.map((id) => outcomes.get(id) ?? 'unknown');
  }

  /**
   * Locks the lease rows of the slots first, as every owner does, and raises their versions: an owner
   * starts from the beginning again and reads anew which keys are held, and so finds both the
   * message at its old place and what it held back.
   */
  async #moveTogether(
    ids: readonly string[],
    change: string,
  ): Promise<readonly DeadLetterOutcome[]> {
    const { table, lease, queue } = this.#names;
    const { rows } = await this.#db.query<{ id: string; moved: boolean }>({
      text: `WITH found AS MATERIALIZED (
          SELECT o.seq, o.slot, o.id FROM ${table} o
          WHERE ${this.#names.rows('o', 'dead_letter')} AND o.id = ANY ($1::text[])
        ),
        slots AS MATERIALIZED (
          SELECT l.slot FROM ${lease} l
          WHERE l.queue = $2 AND l.slot IN (SELECT slot FROM found)
          ORDER BY l.slot FOR NO KEY UPDATE SKIP LOCKED
        ),
        letters AS MATERIALIZED (
          SELECT o.seq, o.slot FROM found JOIN slots USING (slot)
          JOIN ${table} o ON ${this.#names.rows('o', 'dead_letter')} AND o.slot = found.slot AND o.seq = found.seq
          ORDER BY o.seq FOR UPDATE OF o SKIP LOCKED
        ),
        raised AS (
          UPDATE ${lease} l SET version = l.version + 1
          WHERE l.queue = $2 AND l.slot IN (SELECT slot FROM letters)
        ),
        moved AS (${change} RETURNING o.seq)
        SELECT found.id, moved.seq IS NOT NULL AS moved FROM found LEFT JOIN moved USING (seq)`,
      values: [[...ids], queue],
    });
    const moved = new Map<string, boolean>();
    for (const row of rows) moved.set(row.id, row.moved && moved.get(row.id) !== false);
    return ids.map((id) => {
      const done = moved.get(id);
      return done === undefined ? 'unknown' : done ? 'done' : 'busy';
    });
  }
}
