import type { PgTransaction, PgTransactions, Queryable, SchemaName } from '../connection/index.js';
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

/** The lock space and number of the lock that only one promoter can hold. */
const PROMOTION = '1396786499, 0';

/** The most messages of held keys that one round skips before it leaves the rest to the next. */
const MOST_SKIPPED = 1_000;

/** Makes delayed messages pending when they are due, and ends holds of optimistic ones. */
export class Promotion {
  readonly #db: Queryable;
  readonly #transactions: PgTransactions;
  readonly #schema: SchemaName;

  constructor(db: Queryable, transactions: PgTransactions, schema: SchemaName) {
    this.#db = db;
    this.#transactions = transactions;
    this.#schema = schema;
  }

  /** One statement if no message is due, which is nearly always the case. */
  async promote(limit: number): Promise<number> {
    const { rows } = await this.#db.query<{ due: boolean }>({
      text: `SELECT EXISTS (
          SELECT FROM ${this.#schema.quoted}.outbox o
          WHERE o.due_at <= (SELECT clock_timestamp()) AND o.status IN ('delayed', 'optimistic')
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
   * their numbers in the wrong order. A process that does not get the lock has nothing to do.
   */
  async #due(
    transaction: PgTransaction,
    limit: number,
    skipped: readonly DueRow[],
  ): Promise<readonly DueRow[]> {
    const { rows } = await transaction.query<DueRow>({
      text: `WITH alone AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(${PROMOTION}) AS got)
        SELECT o.slot, o.seq, o.tenant, o.topic, o.key, o.ordered FROM ${this.#schema.quoted}.outbox o
        WHERE (SELECT got FROM alone) AND o.due_at <= (SELECT clock_timestamp()) AND o.status = 'delayed'
          AND (o.tenant, o.topic, o.key) NOT IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))
        ORDER BY o.due_at, o.seq LIMIT $1 FOR UPDATE SKIP LOCKED`,
      values: [
        limit,
        skipped.map((row) => row.tenant),
        skipped.map((row) => row.topic),
        skipped.map((row) => row.key),
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
          SELECT due.slot, due.seq AS provisional, nextval('${this.#schema.quoted}.outbox_seq') AS seq
          FROM (
            SELECT d.slot, d.seq FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS d (slot, seq, place)
            ORDER BY d.place
          ) AS due
        )
        UPDATE ${this.#schema.quoted}.outbox o
        SET seq = numbered.seq, status = 'pending', due_at = NULL
        FROM numbered WHERE o.slot = numbered.slot AND o.seq = numbered.provisional`,
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
    const { quoted } = this.#schema;
    const { rows } = await transaction.query<{ slot: number }>({
      text: `SELECT DISTINCT due.slot FROM (
          SELECT o.slot FROM ${quoted}.outbox o
          WHERE o.due_at <= (SELECT clock_timestamp()) AND o.status = 'optimistic' LIMIT $1
        ) AS due`,
      values: [limit],
    });
    if (rows.length === 0) return 0;
    const { rowCount } = await transaction.query({
      text: `WITH slots AS MATERIALIZED (
          SELECT l.slot FROM ${quoted}.slot_lease l
          WHERE l.queue = 'outbox' AND l.slot = ANY ($1::int[])
          ORDER BY l.slot FOR NO KEY UPDATE SKIP LOCKED
        ),
        due AS MATERIALIZED (
          SELECT o.slot, o.seq FROM slots JOIN ${quoted}.outbox o ON o.slot = slots.slot
          WHERE o.due_at <= (SELECT clock_timestamp()) AND o.status = 'optimistic'
          ORDER BY o.seq FOR UPDATE OF o SKIP LOCKED
        ),
        raised AS (
          UPDATE ${quoted}.slot_lease l SET version = l.version + 1
          WHERE l.queue = 'outbox' AND l.slot IN (SELECT slot FROM due)
        )
        UPDATE ${quoted}.outbox o SET status = 'pending', due_at = NULL
        FROM due WHERE o.slot = due.slot AND o.seq = due.seq`,
      values: [rows.map((row) => row.slot)],
    });
    return rowCount ?? 0;
  }
}
