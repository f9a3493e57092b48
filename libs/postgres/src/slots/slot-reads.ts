import {
  MOST_COUNTED,
  ROW_BYTES,
  type FloorProbe,
  type HeldKey,
  type QueuedMessage,
  type QueuedStatus,
  type ReadLimits,
  type ReadRequest,
  type ReadResult,
  type SlotLease,
} from '@sagaz/core';
import { epochMs, isDataError, Prepared } from '../connection/index.js';
import { inLanes, LANES, statusOf } from './lanes.js';
import {
  BYTE_COLUMNS,
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

/** SQL condition: whether a row that is retrying, optimistic or a dead letter holds back its key. */
function holds(row: string): string {
  return `${row}.ordered AND (${row}.lane <> ${String(LANES.dead_letter)} OR ${row}.blocks)`;
}

/** The statuses in which a row may hold back its key. */
const HEADS = ['retrying', 'optimistic', 'dead_letter'] as const;
/** The statuses of rows that are due at some time. */
const DUE = ['retrying', 'optimistic', 'delayed'] as const;

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
    // The join returns a row even if no message is pending, because it carries the snapshot's xmin.
    const calling = (columns: string, more: string): Prepared =>
      new Prepared(`SELECT s.xmin, ${columns}
        FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin) AS s
        LEFT JOIN ${names.read}$1, $2, $3, $4, $5, $6${more}) AS o ON true`);
    const reading = (columns: string): Reading => ({
      next: calling(columns, ''),
      past: calling(columns, ', $7, $8, $9, $10'),
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
      const { keys, within } = passingOver;
      values.push(within);
      values.push(keys.map(({ tenant }) => tenant));
      values.push(keys.map(({ topic }) => topic));
      values.push(keys.map(({ key }) => key));
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
      text: `WITH ${this.#leased()}
        SELECT o.slot, o.tenant, o.topic, o.key, o.seq AS head FROM leased, ${table} o
        WHERE ${names.rows('o', ...HEADS)} AND o.slot = leased.slot AND ${holds('o')}
        UNION ALL
        SELECT DISTINCT o.slot, o.tenant, o.topic, o.key, NULL::bigint FROM leased, ${table} o
        WHERE ${names.rows('o', 'held')} AND o.slot = leased.slot
          AND NOT EXISTS (SELECT FROM ${table} h WHERE ${this.#holdsBack('h', 'o')})`,
      values: this.#leaseValues(incarnation, leases),
    });
    return rows;
  }

  async readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    { limit, bytes, inFlight }: ReadLimits & Pick<ReadRequest, 'inFlight'>,
  ): Promise<readonly QueuedMessage[]> {
    const names = this.#names;
    // The clock is read once, in a subquery. The index on due_at cannot be used in a comparison with a
    // function whose value may change from row to row. The size of a payload is known without reading it.
    const { rows } = await this.#db.query<MessageRow>({
      text: `WITH ${this.#leased()}
        SELECT ${BYTE_COLUMNS} FROM (
          SELECT o.*, sum(${String(ROW_BYTES)} + octet_length(o.payload))
            OVER (ORDER BY o.due_at, o.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM (
          SELECT o.* FROM leased CROSS JOIN LATERAL (
            SELECT o.* FROM ${names.table} o
            WHERE ${names.rows('o', 'retrying')} AND o.slot = leased.slot
              AND o.due_at <= (SELECT clock_timestamp())
              AND o.seq NOT IN (SELECT unnest($7::bigint[]))
              AND (NOT o.ordered OR NOT EXISTS (
                SELECT FROM ${names.table} h WHERE ${this.#holdsBack('h', 'o')} AND h.seq < o.seq
              ))
            ORDER BY o.due_at LIMIT $5
          ) AS o
          ORDER BY o.due_at LIMIT $5
          ) AS o
        ) AS o
        WHERE o.before IS NULL OR o.before < $6
        ORDER BY o.seq`,
      values: [...this.#leaseValues(incarnation, leases), limit, bytes, numberArray(inFlight)],
    });
    return rows.map(queuedMessage);
  }

  async nextDueInMs(slots: readonly number[]): Promise<number | null> {
    const { rows } = await this.#db.query<{ ms: number | null }>({
      text: `SELECT ${epochMs('min(first.due_at) - clock_timestamp()')} AS ms
        FROM unnest($1::int[]) AS s (slot) CROSS JOIN LATERAL (${this.#firstDue('s')}) AS first`,
      values: [numberArray(slots)],
    });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, Math.ceil(ms));
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
            (SELECT due.due_at FROM (${this.#firstDue('l')}) AS due WHERE due.due_at <= (SELECT clock_timestamp()))
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

  /** SQL condition: the row `h` holds back the key of the row `o`, if it comes before it. */
  #holdsBack(h: string, o: string): string {
    return `${this.#names.sameKey(h, o)} AND ${h}.lane <> 0 AND ${inLanes(h, ...HEADS)} AND ${holds(h)}`;
  }

  /** SQL for when the first rows of the slot `alias.slot` are due, one row for each status. */
  #firstDue(alias: string): string {
    const { table } = this.#names;
    return DUE.map(
      (status) => `(SELECT o.due_at FROM ${table} o
        WHERE ${this.#names.rows('o', status)} AND o.slot = ${alias}.slot AND o.due_at IS NOT NULL
        ORDER BY o.due_at LIMIT 1)`,
    ).join(' UNION ALL ');
  }

  /** SQL for those of the leases, given as $1 … $4, that the incarnation still has. */
  #leased(): string {
    return `leased AS MATERIALIZED (
      SELECT l.slot FROM ${this.#names.lease} l
      JOIN unnest($3::int[], $4::bigint[]) AS mine (slot, epoch) ON l.slot = mine.slot AND l.epoch = mine.epoch
      WHERE l.queue = $1 AND l.owner = $2
    )`;
  }

  #leaseValues(incarnation: string, leases: readonly SlotLease[]): unknown[] {
    return [this.#names.queue, incarnation, leases.map((l) => l.slot), leases.map((l) => l.epoch)];
  }
}

function bytesOf(messages: readonly QueuedMessage[]): number {
  return messages.reduce((sum, { message }) => sum + ROW_BYTES + message.payload.byteLength, 0);
}
