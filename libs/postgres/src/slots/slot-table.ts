import type { QueuedMessage, QueuedStatus } from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { inLanes, LANES } from './lanes.js';

/** A queue of the table `message`. */
export interface SlotTable {
  readonly schema: SchemaName;
  /** The queue's name in `slot_lease`. */
  readonly queue: string;
  /** The number of the queue, which its messages carry. */
  readonly number: number;
}

/** The connection for statements: a pool, on which each statement is a transaction of its own. */
export type SlotConnection = Queryable;

/** The statuses in which a row may hold back its key. */
export const HEADS = ['retrying', 'optimistic', 'dead_letter'] as const;

/** SQL condition: whether a row in one of these statuses holds back its key. */
export function holds(row: string): string {
  return `${row}.ordered AND (${row}.lane <> ${String(LANES.dead_letter)} OR ${row}.blocks)`;
}

/** The quoted names of a queue's tables, and conditions for its rows, for SQL texts. */
export class SlotNames {
  readonly queue: string;
  readonly table: string;
  readonly lease: string;
  readonly member: string;
  readonly sequence: string;
  /** A call of the function that reads, up to its second argument. */
  readonly read: string;
  readonly number: number;
  readonly #counts: string;

  constructor({ schema, queue, number }: SlotTable) {
    this.queue = queue;
    this.table = `${schema.quoted}.message`;
    this.lease = `${schema.quoted}.slot_lease`;
    this.member = `${schema.quoted}.slot_member`;
    this.sequence = `${schema.quoted}.message_seq`;
    this.number = number;
    this.pass = `${schema.quoted}.message_pass(${String(this.number)}, `;
    this.#counts = `${schema.quoted}.message_counts`;
    this.read = `${schema.quoted}.message_read(${String(this.number)}, `;
  }

  /** A call of the function that passes topics, up to its second argument. */
  readonly pass: string;

  /** A call of the function that counts. @param most the most rows of a lane that are counted, as SQL */
  counts(most: string): string {
    return `${this.#counts}(${String(this.number)}, ${most})`;
  }

  /** `alias.queue = 7 AND alias.lane IN (0, 1)`: the rows of the queue with one of the statuses. */
  rows(alias: string, ...statuses: readonly QueuedStatus[]): string {
    return `${alias}.queue = ${String(this.number)} AND ${inLanes(alias, ...statuses)}`;
  }

  /** SQL condition: the row `h` holds back the key of the row `o`, if it comes before it. */
  holdsBack(h: string, o: string): string {
    return `${this.sameKey(h, o)} AND ${h}.lane <> 0 AND ${inLanes(h, ...HEADS)} AND ${holds(h)}`;
  }

  /** SQL for when the first rows of the slot `alias.slot` are due, one row for each status. */
  firstDue(alias: string, ...statuses: readonly QueuedStatus[]): string {
    return statuses
      .map(
        (status) => `(SELECT o.due_at FROM ${this.table} o
          WHERE ${this.rows('o', status)} AND o.slot = ${alias}.slot AND o.due_at IS NOT NULL
          ORDER BY o.due_at LIMIT 1)`,
      )
      .join(' UNION ALL ');
  }

  /**
   * SQL for the slots that have rows with the status and a time, and for when the first row of each is due, as
   * a row source. It steps from slot to slot along the index, so that it costs a page where there are none.
   */
  dueSlots(status: QueuedStatus): string {
    const first = (above: string): string => `SELECT o.slot, o.due_at FROM ${this.table} o
        WHERE ${this.rows('o', status)} AND o.due_at IS NOT NULL ${above} ORDER BY o.slot, o.due_at LIMIT 1`;
    return `(WITH RECURSIVE due AS (
        (${first('')})
        UNION ALL
        SELECT next.slot, next.due_at FROM due CROSS JOIN LATERAL (${first('AND o.slot > due.slot')}) AS next
      ) SELECT slot, due_at FROM due)`;
  }

  /** `a.queue = 7 AND b.queue = 7 AND …`: two rows of the queue that have the same key. */
  sameKey(a: string, b: string): string {
    return `${a}.queue = ${String(this.number)} AND ${a}.slot = ${b}.slot AND ${a}.tenant = ${b}.tenant
      AND ${a}.topic = ${b}.topic AND ${a}.key = ${b}.key`;
  }
}

/** A row as {@link BYTE_COLUMNS} and {@link TEXT_COLUMNS} read it. */
export interface MessageRow {
  readonly slot: number;
  readonly seq: string;
  readonly attempts: number;
  readonly ordered: boolean;
  readonly age_ms: number;
  /** Null: it has no time. */
  readonly due_in_ms: number | null;
  readonly id: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly source: string;
  readonly time: string;
  readonly content_type: string;
  readonly headers: string;
  /** The payload as text; null: it is in `payload` as bytes. */
  readonly body: string | null;
  readonly payload: Buffer | null;
}

/**
 * The columns of a message in the row `o`. Headers are read as text, because the application may have
 * changed how `pg` parses JSON.
 */
const COLUMNS = `o.slot, o.seq, o.attempts, o.ordered,
  ${epochMs('clock_timestamp() - o.created_at')} AS age_ms,
  ${epochMs('o.due_at - clock_timestamp()')} AS due_in_ms,
  o.id, o.tenant, o.topic, o.key, o.type, o.source, o.time, o.content_type, o.headers::text AS headers`;

/** The columns with the payload as bytes, which always works but sends twice as many digits. */
export const BYTE_COLUMNS = `${COLUMNS}, NULL AS body, o.payload`;

/**
 * The columns with the payload as text if its type says so, which is half the size and right for most
 * payloads. The read fails if the bytes of a payload are not what its type claims.
 */
export const TEXT_COLUMNS = `${COLUMNS},
  CASE WHEN ${isText('o')} THEN convert_from(o.payload, 'UTF8') END AS body,
  CASE WHEN NOT (${isText('o')}) THEN o.payload END AS payload`;

function isText(row: string): string {
  return `${row}.content_type LIKE 'application/json%' OR ${row}.content_type LIKE 'text/%'`;
}

export function queuedMessage(row: MessageRow): QueuedMessage {
  return {
    slot: row.slot,
    seq: row.seq,
    attempts: row.attempts,
    ordered: row.ordered,
    ageMs: row.age_ms,
    ...(row.due_in_ms !== null && row.due_in_ms > 0 ? { dueInMs: row.due_in_ms } : {}),
    message: {
      id: row.id,
      tenant: row.tenant,
      topic: row.topic,
      key: row.key,
      type: row.type,
      source: row.source,
      time: row.time,
      contentType: row.content_type,
      payload: row.payload ?? Buffer.from(row.body ?? ''),
      headers: headersOf(row.headers),
    },
  };
}

/** One object for all messages without headers. */
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Reads headers. A row written by another program may have any JSON here, and must not prevent the read
 * of other rows.
 */
export function headersOf(text: string): Readonly<Record<string, string>> {
  if (text === '{}') return NO_HEADERS;
  const read: unknown = JSON.parse(text);
  if (typeof read !== 'object' || read === null || Array.isArray(read)) return NO_HEADERS;
  const headers = Object.entries(read).map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return Object.fromEntries(headers);
}

/**
 * Writes numbers as an array of PostgreSQL. `pg` would quote and escape each one, a thousand times per
 * read.
 */
export function numberArray(numbers: readonly (number | string)[]): string {
  return `{${numbers.join(',')}}`;
}
