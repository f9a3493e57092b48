import { SLOT_COUNT } from '@sagaz/core';
import type { PgTransaction, PgTransactions, Queryable } from '../connection/index.js';
import { LANES, type SlotNames } from '../slots/index.js';
import {
  keyLockRows,
  KEYS_LOCKED_ONE_BY_ONE,
  keyLockSource,
  keyLockValues,
  TRY_KEY_LOCK,
} from './key-locks.js';

interface DueRow {
  readonly slot: number;
  readonly seq: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly ordered: boolean;
}

/** The lock space of the locks that only one promoter of a queue can hold; their numbers are those of queues. */
const PROMOTION = 1396786499;

/** The most messages of held keys that one round skips before it leaves the rest to the next. */
const MOST_SKIPPED = 1_000;

/** Makes delayed messages pending when they are due, and ends holds of optimistic ones. */
export class Promotion {
  readonly #db: Queryable;
  readonly #transactions: PgTransactions;
  readonly #names: SlotNames;

  constructor(db: Queryable, transactions: PgTransactions, names: SlotNames) {
    this.#db = db;
    this.#transactions = transactions;
    this.#names = names;
  }

  /** One statement if no message is due, which is nearly always the case. */
  async promote(limit: number): Promise<number> {
    const { rows } = await this.#db.query<{ due: boolean }>({
      text: `SELECT EXISTS (
          SELECT FROM (
            SELECT * FROM ${this.#names.dueSlots('delayed')} AS d UNION ALL SELECT * FROM ${this.#names.dueSlots('optimistic')} AS o
          ) AS due
          WHERE due.due_at <= (SELECT clock_timestamp())
        ) AS due`,
    });
    if (rows[0]?.due !== true) return 0;
    const skipped: DueRow[] = [];
    let numbered = 0;
    for (;;) {
      const due = await this.#transactions.run(async (transaction) => {
        const found = await this.#due(
          transaction,
          Math.min(limit, KEYS_LOCKED_ONE_BY_ONE),
          skipped,
        );
        const free = await this.#free(transaction, found);
        if (free.length > 0) await this.#number(transaction, free);
        skipped.push(...found.filter((row) => !free.includes(row)));
        numbered += free.length;
        return found.length;
      });
      if (due === 0 || numbered >= limit || skipped.length >= MOST_SKIPPED) break;
    }
    return (
      numbered + (await this.#transactions.run((transaction) => this.#endHolds(transaction, limit)))
    );
  }

  /**
   * Only one promoter works at a time, because two could give messages of one key with the same delay
   * their numbers in the wrong order. A process that does not get the lock has nothing to do. Rows of a
   * slot come in the order in which they are due; each look begins with another slot.
   */
  async #due(
    transaction: PgTransaction,
    limit: number,
    skipped: readonly DueRow[],
  ): Promise<readonly DueRow[]> {
    const { rows } = await transaction.query<DueRow>({
      text: `WITH alone AS MATERIALIZED (
          SELECT pg_try_advisory_xact_lock(${String(PROMOTION)}, ${String(this.#names.number)}) AS got
        )
        SELECT due.* FROM (
          SELECT (n + $5) % ${String(SLOT_COUNT)} AS slot FROM generate_series(0, ${String(SLOT_COUNT - 1)}) AS n
          WHERE (SELECT got FROM alone)
        ) AS s CROSS JOIN LATERAL (
          SELECT o.slot, o.seq, o.tenant, o.topic, o.key, o.ordered FROM ${this.#names.table} o
          WHERE ${this.#names.rows('o', 'delayed')} AND o.slot = s.slot AND o.due_at <= (SELECT clock_timestamp())
            AND (o.tenant, o.topic, o.key) NOT IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))
          ORDER BY o.due_at, o.seq LIMIT $1 FOR UPDATE SKIP LOCKED
        ) AS due
        LIMIT $1`,
      values: [
        limit,
        skipped.map((row) => row.tenant),
        skipped.map((row) => row.topic),
        skipped.map((row) => row.key),
        Math.floor(Math.random() * SLOT_COUNT),
      ],
    });
    return rows;
  }

  /**
   * Selects the messages whose keys this transaction could lock. If another open transaction holds a
   * key, all messages of that key are left for the next round.
   */
  async #free(transaction: PgTransaction, due: readonly DueRow[]): Promise<readonly DueRow[]> {
    const locks = due.flatMap((row, at) => keyLockRows(at, [{ ...row, delayMs: 0 }]));
    const { rows } = await transaction.query<{ place: number }>({
      text: `SELECT k.place FROM ${keyLockSource(1)} WHERE NOT ${TRY_KEY_LOCK}`,
      values: keyLockValues(locks),
    });
    const held = new Set(rows.map(({ place }) => place));
    return due.filter((_, at) => !held.has(at));
  }

  /**
   * A delayed message takes its place in its key now: its number is drawn, as for a new message, under
   * the lock of its key, so that a reader that sees it also sees all messages before it. The
   * transaction id has been assigned by the row locks.
   */
  async #number(transaction: PgTransaction, due: readonly DueRow[]): Promise<void> {
    await transaction.query({
      text: `WITH numbered AS MATERIALIZED (
          SELECT due.slot, due.seq AS provisional, nextval('${this.#names.sequence}') AS seq
          FROM (
            SELECT d.slot, d.seq FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS d (slot, seq, place)
            ORDER BY d.place
          ) AS due
        )
        UPDATE ${this.#names.table} o
        SET seq = numbered.seq, lane = ${String(LANES.pending)}, due_at = NULL
        FROM numbered
        WHERE ${this.#names.rows('o', 'delayed')} AND o.slot = numbered.slot AND o.seq = numbered.provisional`,
      values: [due.map((row) => row.slot), due.map((row) => row.seq)],
    });
  }

  /**
   * Ends the hold of optimistic messages whose producer's time is over. They keep their numbers, which
   * readers may have passed already, so the version of the slot is raised to make readers start again.
   * Lease rows are locked first, as everywhere. What another transaction has locked is left for the next
   * call: a wait would keep the owners of the other slots from renewing their leases.
   */
  async #endHolds(transaction: PgTransaction, limit: number): Promise<number> {
    const { table, lease, queue } = this.#names;
    const over = `${this.#names.rows('o', 'optimistic')} AND o.due_at <= (SELECT clock_timestamp())`;
    const { rows } = await transaction.query<{ slot: number }>({
      text: `SELECT due.slot FROM ${this.#names.dueSlots('optimistic')} AS due
        WHERE due.due_at <= (SELECT clock_timestamp())`,
    });
    if (rows.length === 0) return 0;
    const { rowCount } = await transaction.query({
      text: `WITH slots AS MATERIALIZED (
          SELECT l.slot FROM ${lease} l
          WHERE l.queue = $2 AND l.slot = ANY ($1::int[])
          ORDER BY l.slot FOR NO KEY UPDATE SKIP LOCKED
        ),
        due AS MATERIALIZED (
          SELECT o.slot, o.seq FROM slots JOIN ${table} o ON ${over} AND o.slot = slots.slot
          ORDER BY o.seq LIMIT $3 FOR UPDATE OF o SKIP LOCKED
        ),
        raised AS (
          UPDATE ${lease} l SET version = l.version + 1
          WHERE l.queue = $2 AND l.slot IN (SELECT slot FROM due)
        )
        UPDATE ${table} o SET lane = ${String(LANES.pending)}, due_at = NULL
        FROM due WHERE ${this.#names.rows('o', 'optimistic')} AND o.slot = due.slot AND o.seq = due.seq`,
      values: [rows.map((row) => row.slot), queue, limit],
    });
    return rowCount ?? 0;
  }
}
