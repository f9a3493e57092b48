import {
  MOST_COUNTED,
  ROW_BYTES,
  type FloorProbe,
  type HeldKey,
  type PassedTopics,
  type QueuedMessage,
  type QueuedStatus,
  type ReadRequest,
  type ReadResult,
  type SlotLease,
  type SlotQueueStore,
} from '@sagaz/core';
import { epochMs, isDataError, Prepared } from '../connection/index.js';
import { LANES, statusOf } from './lanes.js';
import { leased, leaseValues } from './leased.js';
import {
  BYTE_COLUMNS,
  HEADS,
  holds,
  numberArray,
  queuedMessage,
  TEXT_COLUMNS,
  type MessageRow,
  type SlotConnection,
  type SlotNames,
} from './slot-table.js';

type ReadRow =
  (MessageRow & { readonly xmin: string }) | { readonly xmin: string; readonly seq: null };

/** The statements that read rows with certain columns: the next ones, and those past busy keys. */
interface Reading {
  readonly next: Prepared;
  readonly past: Prepared;
}

/**
 * How many reads ask for bytes after a payload was not the text that its type claims, since that
 * message stays for a while.
 */
const READS_AS_BYTES = 100;

/**
 * The reads of the owner of slots. The statements of every round are prepared: those that read call a function
 * that plans by itself, and the other one reads no table. All others are sent without a name and are
 * therefore planned for the given values, because a plan that was made when the table was empty reads a
 * full one a hundred times slower.
 */
export class SlotReads {
  readonly #db: SlotConnection;
  readonly #names: SlotNames;
  readonly #counts: SlotConnection;
  readonly #probe: Prepared;
  readonly #pass: Prepared;
  readonly #asText: Reading;
  readonly #asRawBytes: Reading;
  /** How many of the next reads ask for bytes. */
  #asBytes = 0;

  /** @param counts the connection on which counts for metrics run */
  constructor(db: SlotConnection, names: SlotNames, counts: SlotConnection) {
    this.#db = db;
    this.#counts = counts;
    this.#names = names;
    this.#probe = new Prepared(`WITH drawn AS MATERIALIZED (
        SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM ${names.sequence}
      )
      SELECT drawn.last, pg_current_xact_id()::text AS xid FROM drawn`);
    this.#pass = new Prepared(`SELECT s.xmin, p.slot, p.up_to, p.more
      FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin) AS s
      LEFT JOIN ${names.pass}$1, $2, $3, $4) AS p ON true`);
    // The join returns a row even if no message is pending, because it carries the snapshot's xmin.
    const calling = (columns: string, more: string): Prepared =>
      new Prepared(`SELECT s.xmin, ${columns}
        FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin) AS s
        LEFT JOIN ${names.read}$1, $2, $3, $4, $5, $6${more}) AS o ON true`);
    const reading = (columns: string): Reading => ({
      next: calling(columns, ''),
      past: calling(columns, ', $7, $8, $9, $10, $11'),
    });
    this.#asText = reading(TEXT_COLUMNS);
    this.#asRawBytes = reading(BYTE_COLUMNS);
  }

  /**
   * `last` is read before the transaction id is assigned, and every writer has its id before it draws a
   * number. So a writer that drew a number up to `last` has a lower transaction id than this one, and a
   * snapshot whose `xmin` is above this one shows all that such writers will ever have written.
   */
  async probeFloor(): Promise<FloorProbe> {
    const { rows } = await this.#db.query<{ last: string; xid: string }>(this.#probe.with([]));
    const [probe] = rows;
    if (probe === undefined) throw new Error('PostgreSQL answered a SELECT of one row with none.');
    return probe;
  }

  /** One statement: the rows, and the `xmin` of the snapshot they were read in. */
  async read(request: ReadRequest): Promise<ReadResult> {
    if (this.#asBytes > 0) {
      this.#asBytes -= 1;
      return this.#read(request, this.#asRawBytes);
    }
    try {
      return await this.#read(request, this.#asText);
    } catch (error) {
      if (!isDataError(error)) throw error;
      // A payload that is not the text which its type claims must not prevent the read of the others.
      this.#asBytes = READS_AS_BYTES;
      return this.#read(request, this.#asRawBytes);
    }
  }

  async #read(
    { windows, inFlight, perSlot, limit, bytes, passingOver }: ReadRequest,
    { next, past }: Reading,
  ): Promise<ReadResult> {
    const values: unknown[] = [
      numberArray(windows.map((w) => w.slot)),
      numberArray(windows.map((w) => w.floor)),
      numberArray(inFlight),
      perSlot,
      limit,
      bytes,
    ];
    if (passingOver !== undefined) {
      const { keys, topics, within } = passingOver;
      values.push(within);
      values.push(keys.map(({ tenant }) => tenant));
      values.push(keys.map(({ topic }) => topic));
      values.push(keys.map(({ key }) => key));
      values.push([...topics]);
    }
    const statement = passingOver === undefined ? next : past;
    const { rows } = await this.#db.query<ReadRow>(statement.with(values));
    const messages: QueuedMessage[] = [];
    for (const row of rows) if (row.seq !== null) messages.push(queuedMessage(row));
    return {
      rows: messages,
      complete: messages.length < limit && bytesOf(messages) < bytes,
      snapshotXmin: rows[0]?.xmin ?? '0',
    };
  }

  async heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]> {
    const names = this.#names;
    const { table } = names;
    const { rows } = await this.#db.query<{
      slot: number;
      tenant: string;
      topic: string;
      key: string;
      head: string | null;
    }>({
      text: `WITH ${leased(names)}
        SELECT o.slot, o.tenant, o.topic, o.key, o.seq AS head FROM leased, ${table} o
        WHERE ${names.rows('o', ...HEADS)} AND o.slot = leased.slot AND ${holds('o')}
        UNION ALL
        SELECT DISTINCT o.slot, o.tenant, o.topic, o.key, NULL::bigint FROM leased, ${table} o
        WHERE ${names.rows('o', 'held')} AND o.slot = leased.slot
          AND NOT EXISTS (SELECT FROM ${table} h WHERE ${names.holdsBack('h', 'o')})`,
      values: leaseValues(names, incarnation, leases),
    });
    return rows;
  }

  async passTopics({
    windows,
    topics,
    within,
  }: Parameters<SlotQueueStore['passTopics']>[0]): Promise<PassedTopics> {
    const { rows } = await this.#db.query<{
      xmin: string;
      slot: number | null;
      up_to: string;
      more: boolean;
    }>(
      this.#pass.with([
        numberArray(windows.map(({ slot }) => slot)),
        numberArray(windows.map(({ floor }) => floor)),
        [...topics],
        within,
      ]),
    );
    return {
      slots: rows.flatMap(({ slot, up_to: upTo, more }) =>
        slot === null ? [] : [{ slot, upTo, more }],
      ),
      snapshotXmin: rows[0]?.xmin ?? '0',
    };
  }

  /** Reads the first row of each slot and the first due row, only if no member lives. */
  async unserved(): Promise<number | null> {
    const { table, lease, member, queue } = this.#names;
    const { rows } = await this.#db.query<{ oldest_ms: number | null }>({
      text: `SELECT ${epochMs('clock_timestamp() - min(head.since)')} AS oldest_ms FROM (
          SELECT first.since FROM (SELECT slot FROM ${lease} WHERE queue = $1) AS l
          CROSS JOIN LATERAL (
            (SELECT o.created_at AS since FROM ${table} o
              WHERE ${this.#names.rows('o', 'pending')} AND o.slot = l.slot ORDER BY o.seq LIMIT 1)
            UNION ALL
            (SELECT due.due_at FROM (${this.#names.firstDue('l', 'retrying', 'optimistic', 'delayed')}) AS due WHERE due.due_at <= (SELECT clock_timestamp()))
          ) AS first
        ) AS head
        WHERE NOT EXISTS (SELECT FROM ${member} WHERE queue = $1 AND expires_at > clock_timestamp())`,
      values: [queue],
    });
    const oldest = rows[0]?.oldest_ms ?? null;
    return oldest === null ? null : Math.max(0, oldest);
  }

  /** Counts along the index, and reads the first row of each slot. */
  async stats(): Promise<{
    byStatus: ReadonlyMap<QueuedStatus, number>;
    oldestPendingMs: number | null;
  }> {
    const { rows } = await this.#counts.query<{
      lane: number;
      counted: string;
      age_ms: number;
    }>({
      text: `SELECT c.lane, c.counted, ${epochMs('clock_timestamp() - c.since')} AS age_ms FROM ${this.#names.counts(String(MOST_COUNTED))} AS c`,
    });
    const byStatus = new Map<QueuedStatus, number>();
    for (const { lane, counted } of rows) {
      const status = statusOf(lane);
      if (status !== undefined) byStatus.set(status, Number(counted));
    }
    return {
      byStatus,
      oldestPendingMs: rows.find(({ lane }) => lane === LANES.pending)?.age_ms ?? null,
    };
  }
}

function bytesOf(messages: readonly QueuedMessage[]): number {
  return messages.reduce((sum, { message }) => sum + ROW_BYTES + message.payload.byteLength, 0);
}
