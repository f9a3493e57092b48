import {
  ROW_BYTES,
  type DueRequest,
  type Message,
  type QueuedMessage,
  type QueuedStatus,
} from '../ports/index.js';
import { dueWithin } from './memory-passed-topics.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';
import { withinBytes } from './within-bytes.js';

export interface QueueRow {
  /**
   * The number of the row; null while the message is delayed, because it has no place in its key yet.
   */
  readonly seq: string | null;
  readonly slot: number;
  readonly status: QueuedStatus;
  readonly attempts: number;
  readonly ordered: boolean;
  readonly message: Message;
  readonly writtenAt: number;
  readonly dueAt: number;
  readonly error: string;
  readonly reason: string;
  readonly blocks: boolean;
  readonly diedAt: Date | null;
}

/** A row that has its place. */
export type NumberedRow = QueueRow & { readonly seq: string };

/** A sequence, which several queues may share as those of a database do. */
export class MemorySequence {
  last = 0n;

  next(): string {
    this.last += 1n;
    return this.last.toString();
  }
}

/**
 * The rows of a queue, their sequence, and the transaction ids that tell which numbers may still
 * appear. As in a database, numbers are drawn before the commit, and a snapshot knows the oldest
 * transaction that had not ended.
 */
export class MemoryQueueRows {
  readonly table = new MemoryTable<QueueRow>();
  readonly #sequence: MemorySequence;
  #lastXid = 0n;
  #lastDelayed = 0;
  readonly #writers = new Map<MemoryTransaction, bigint>();

  constructor(sequence = new MemorySequence()) {
    this.#sequence = sequence;
  }

  /** Assigns an id to a transaction. It must be called before a number is drawn for the transaction. */
  begin(transaction: MemoryTransaction): void {
    if (this.#writers.has(transaction)) return;
    this.#lastXid += 1n;
    this.#writers.set(transaction, this.#lastXid);
  }

  nextSeq(): string {
    return this.#sequence.next();
  }

  nextDelayedKey(): string {
    this.#lastDelayed += 1;
    return `delayed:${this.#lastDelayed}`;
  }

  probe(): { last: string; xid: string } {
    const last = this.#sequence.last.toString();
    this.#lastXid += 1n;
    return { last, xid: this.#lastXid.toString() };
  }

  /** The oldest transaction id that has not ended, or the next one. */
  xmin(): string {
    let xmin = this.#lastXid + 1n;
    for (const [transaction, xid] of this.#writers) {
      // A failed transaction can only roll back, so none of its rows will ever appear.
      if (!transaction.open) this.#writers.delete(transaction);
      else if (xid < xmin) xmin = xid;
    }
    return xmin.toString();
  }

  /** Committed rows of a status, ordered by number. */
  committed(wanted: (row: QueueRow) => boolean): NumberedRow[] {
    const rows: NumberedRow[] = [];
    for (const row of this.table.committed().values()) {
      if (hasPlace(row) && wanted(row)) rows.push(row);
    }
    return rows.sort((a, b) => compare(a.seq, b.seq));
  }
}

export function hasPlace(row: QueueRow): row is NumberedRow {
  return row.seq !== null;
}

function compare(a: string, b: string): number {
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
}

/** Whether a row holds back the later rows of its key. */
export function isHead(row: QueueRow): boolean {
  if (!row.ordered) return false;
  if (row.status === 'dead_letter') return row.blocks;
  return row.status === 'retrying' || row.status === 'optimistic';
}

/** Whether the row becomes pending by itself when it is due. */
export function isPromotable(row: QueueRow): boolean {
  return row.status === 'delayed' || row.status === 'optimistic';
}

export function keyNameOf(row: QueueRow): string {
  return nameOfKey(row.message);
}

export function nameOfKey(of: {
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
}): string {
  return `${of.tenant}\u0000${of.topic}\u0000${of.key}`;
}

export function queuedOf(row: NumberedRow, now: number): QueuedMessage {
  return {
    slot: row.slot,
    seq: row.seq,
    attempts: row.attempts,
    ordered: row.ordered,
    ageMs: now - row.writtenAt,
    ...(row.status === 'pending' && row.dueAt > now ? { dueInMs: row.dueAt - now } : {}),
    message: row.message,
  };
}

/** The bytes that a row counts for where bytes bound a read. */
export function bytesOfRow({ message }: QueuedMessage): number {
  return ROW_BYTES + message.payload.byteLength;
}

/**
 * Retries that are due, the first of each key alone: those that have been due for longest, in the order of
 * their numbers.
 */
export function dueRetries(
  retrying: readonly NumberedRow[],
  { limit, bytes, inFlight, without }: DueRequest,
  now: number,
): readonly QueuedMessage[] {
  const seen = new Set<string>();
  const working = new Set(inFlight);
  const leftOut = new Set(without?.topics);
  const firsts = retrying.filter((row) => {
    const first = !row.ordered || !seen.has(keyNameOf(row));
    if (row.ordered) seen.add(keyNameOf(row));
    return first && row.dueAt <= now;
  });
  const due = [...new Set(firsts.map(({ slot }) => slot))]
    .flatMap((slot) => dueWithin(firsts, slot, without))
    .filter(({ seq, message }) => !working.has(seq) && !leftOut.has(message.topic));
  const longest = due.toSorted((a, b) => a.dueAt - b.dueAt).slice(0, limit);
  const read = withinBytes(
    longest.map((row) => queuedOf(row, now)),
    bytes,
    bytesOfRow,
  );
  return read.toSorted((a, b) => compare(a.seq, b.seq));
}
