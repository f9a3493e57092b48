import {
  ROW_BYTES,
  type DueFloor,
  type DueRequest,
  type QueuedMessage,
  type SlotLease,
  type WithoutTopics,
} from '@sagaz/core';
import { epochMs } from '../connection/index.js';
import { leased, leaseValues } from './leased.js';
import {
  BYTE_COLUMNS,
  numberArray,
  queuedMessage,
  type MessageRow,
  type SlotConnection,
  type SlotNames,
} from './slot-table.js';

/** So many rows of a slot are read at most, so that a slot with many leaves room for the others. */
const FEWEST_PER_SLOT = 50;
/**
 * For so long a row must have been due before a floor passes it, in seconds. No change of a row takes that
 * long from the reading of the clock to the commit, so none can still make a row due before the floor.
 */
const PASSED_AFTER_S = 60;
/** Where a look begins in a slot that has no floor. */
const FROM_THE_START = `coalesce(f.due_at, '-infinity'), coalesce(f.seq, 0)`;

/** Reads rows that become due with time, slot by slot along the index of due rows. */
export class DueReads {
  readonly #db: SlotConnection;
  readonly #names: SlotNames;

  constructor(db: SlotConnection, names: SlotNames) {
    this.#db = db;
    this.#names = names;
  }

  async readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    { limit, bytes, inFlight, without }: DueRequest,
  ): Promise<readonly QueuedMessage[]> {
    const names = this.#names;
    const perSlot = Math.max(FEWEST_PER_SLOT, Math.ceil((2 * limit) / Math.max(1, leases.length)));
    // The clock is read once, in a subquery. The index on due_at cannot be used in a comparison with a
    // function whose value may change from row to row. The size of a payload is known without reading it.
    const { rows } = await this.#db.query<MessageRow>({
      text: `WITH ${leased(names)}, ${floors(8)}
        SELECT ${BYTE_COLUMNS} FROM (
          SELECT o.*, sum(${String(ROW_BYTES)} + octet_length(o.payload))
            OVER (ORDER BY o.due_at, o.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM (
            SELECT o.* FROM leased JOIN ${names.dueSlots('retrying')} AS d
              ON d.slot = leased.slot AND d.due_at <= (SELECT clock_timestamp())
            LEFT JOIN floors f ON f.slot = leased.slot CROSS JOIN LATERAL (
              SELECT o.* FROM (
                SELECT o.* FROM ${names.table} o
                WHERE ${names.rows('o', 'retrying')} AND o.slot = leased.slot
                  AND o.due_at <= (SELECT clock_timestamp()) AND (o.due_at, o.seq) > (${FROM_THE_START})
                ORDER BY o.due_at, o.seq LIMIT $12
              ) AS o
              WHERE o.topic <> ALL ($11::text[]) AND o.seq NOT IN (SELECT unnest($7::bigint[]))
                AND (NOT o.ordered OR NOT EXISTS (
                  SELECT FROM ${names.table} h WHERE ${names.holdsBack('h', 'o')} AND h.seq < o.seq
                ))
              ORDER BY o.due_at, o.seq LIMIT $13
            ) AS o
            ORDER BY o.due_at LIMIT $5
          ) AS o
        ) AS o
        WHERE o.before IS NULL OR o.before < $6
        ORDER BY o.seq`,
      values: [
        ...leaseValues(names, incarnation, leases),
        limit,
        bytes,
        numberArray(inFlight),
        ...withoutValues(without),
        perSlot,
      ],
    });
    return rows.map(queuedMessage);
  }

  async passDueTopics(
    slots: readonly number[],
    without: WithoutTopics,
  ): Promise<readonly DueFloor[]> {
    const { rows } = await this.#db.query<{ slot: number; due_at: string; seq: string }>({
      text: `WITH ${floors(2)}
        SELECT s.slot, to_char(n.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS due_at, n.seq
        FROM unnest($1::int[]) AS s (slot) LEFT JOIN floors f ON f.slot = s.slot CROSS JOIN LATERAL (
          SELECT n.due_at, n.seq, bool_and(n.left_out) OVER () AS all_left_out FROM (
            SELECT o.due_at, o.seq, o.topic = ANY ($5::text[]) AS left_out FROM ${this.#names.table} o
            WHERE ${this.#names.rows('o', 'retrying')} AND o.slot = s.slot
              AND o.due_at <= (SELECT clock_timestamp() - interval '${String(PASSED_AFTER_S)} seconds')
              AND (o.due_at, o.seq) > (${FROM_THE_START})
            ORDER BY o.due_at, o.seq LIMIT $6
          ) AS n
          ORDER BY n.due_at DESC, n.seq DESC LIMIT 1
        ) AS n
        WHERE n.all_left_out`,
      values: [numberArray(slots), ...withoutValues(without)],
    });
    return rows.map(({ slot, due_at: dueAt, seq }) => ({ slot, dueAt, seq }));
  }

  async nextDueInMs(slots: readonly number[], without?: WithoutTopics): Promise<number | null> {
    const names = this.#names;
    const { rows } = await this.#db.query<{ ms: number | null }>({
      text: `WITH ${floors(2)}
        SELECT ${epochMs('min(first.due_at) - clock_timestamp()')} AS ms
        FROM (
          SELECT d.due_at FROM (
            SELECT * FROM ${names.dueSlots('optimistic')} AS o UNION ALL SELECT * FROM ${names.dueSlots('delayed')} AS d
          ) AS d
          WHERE d.slot = ANY ($1::int[])
          UNION ALL
          SELECT n.due_at FROM ${names.dueSlots('retrying')} AS s LEFT JOIN floors f ON f.slot = s.slot
          CROSS JOIN LATERAL (
            SELECT n.due_at FROM (
              SELECT o.due_at, o.seq, o.topic FROM ${names.table} o
              WHERE ${names.rows('o', 'retrying')} AND o.slot = s.slot AND o.due_at IS NOT NULL
                AND (o.due_at, o.seq) > (${FROM_THE_START})
              ORDER BY o.due_at, o.seq LIMIT $6
            ) AS n
            WHERE n.topic <> ALL ($5::text[]) ORDER BY n.due_at, n.seq LIMIT 1
          ) AS n
          WHERE s.slot = ANY ($1::int[])
        ) AS first`,
      values: [numberArray(slots), ...withoutValues(without)],
    });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, Math.ceil(ms));
  }
}

/** SQL for the floors of slots, whose columns are the parameters from `first` on. */
function floors(first: number): string {
  const [slots, dues, seqs] = [first, first + 1, first + 2].map((at) => `$${String(at)}`);
  return `floors AS MATERIALIZED (
      SELECT * FROM unnest(${String(slots)}::int[], ${String(dues)}::timestamptz[], ${String(seqs)}::bigint[]) AS f (slot, due_at, seq)
    )`;
}

/** The values of {@link floors}, the topics, and how many rows of a slot are looked at; null: all. */
function withoutValues(without: WithoutTopics | undefined): unknown[] {
  const given = without?.floors ?? [];
  return [
    numberArray(given.map(({ slot }) => slot)),
    given.map(({ dueAt }) => dueAt),
    numberArray(given.map(({ seq }) => seq)),
    [...(without?.topics ?? [])],
    without?.within ?? null,
  ];
}
