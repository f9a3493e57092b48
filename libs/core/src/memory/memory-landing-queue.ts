import { LandedRowLostError, landedForm, placeOfKey } from '../messaging/index.js';
import {
  ROW_BYTES,
  type InboxDeath,
  type InboxKey,
  type InboxLine,
  type LandedRow,
  type LandedSize,
  type LandingMessage,
  type Message,
  type Retirement,
} from '../ports/index.js';
import { copyOf } from './memory-queue-append.js';
import {
  hasPlace,
  keyNameOf,
  nameOfKey,
  type NumberedRow,
  type QueueRow,
} from './memory-queue-rows.js';
import { MemorySlotQueue } from './memory-slot-queue.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** The landing queue of one group. */
export class MemoryLandingQueue extends MemorySlotQueue {
  /** Whether a row, one with a number below the given one, holds the key, as the transaction sees it. */
  holds(line: InboxLine, own: MemoryTransaction, below?: string): boolean {
    const name = nameOfKey(line);
    return this.rows.table.entries(own).some(([, row]) => {
      if (!row.ordered || !hasPlace(row) || keyNameOf(row) !== name) return false;
      if (below !== undefined && BigInt(row.seq) >= BigInt(below)) return false;
      return row.status !== 'dead_letter' || row.blocks;
    });
  }

  /** Adds a message whose inbox row the transaction has just written. */
  add({ key, message, line, attempts, retry }: LandingMessage, own: MemoryTransaction): void {
    const row = this.#newRow(key, message, line, own);
    if (retry === null) {
      this.#set({ ...row, attempts }, own);
      return;
    }
    const dueAt = this.clock.now() + retry.delayMs;
    this.#set({ ...row, attempts, dueAt, error: retry.error }, own);
  }

  /** Adds a dead letter whose inbox row the transaction has just written. */
  addDead(
    key: InboxKey,
    death: InboxDeath,
    line: InboxLine | undefined,
    own: MemoryTransaction,
  ): void {
    this.#set(this.#deadOf(this.#newRow(key, death.message, line, own), death), own);
  }

  /** Makes a dead letter of a row that the process of `landed` has. */
  async bury(landed: LandedRow, death: InboxDeath, own: MemoryTransaction): Promise<void> {
    this.#set(this.#deadOf(await this.#locked(landed, own), death), own);
  }

  async finish(landed: LandedRow, own: MemoryTransaction): Promise<void> {
    await this.#locked(landed, own);
    this.rows.table.delete(landed.seq, own);
  }

  /** What waits in the queue. */
  size(most: number): LandedSize {
    const rows = this.rows.committed(({ status }) => status !== 'dead_letter').slice(0, most);
    const bytes = rows.reduce(
      (sum, { message }) => sum + ROW_BYTES + message.payload.byteLength,
      0,
    );
    return { messages: rows.length, bytes };
  }

  /** How many processes of the group live. */
  get processes(): number {
    return this.leases.living;
  }

  /** For how long the first of the messages that wait has been there, in milliseconds. */
  oldestMs(): number {
    const rows = this.rows.committed(({ status }) => status !== 'dead_letter');
    return Math.max(0, ...rows.map(({ writtenAt }) => this.clock.now() - writtenAt));
  }

  /** Makes a dead letter of a message that waits. The caller has locked its inbox row. */
  async retire(
    row: NumberedRow,
    { reason, error }: Retirement,
    own: MemoryTransaction,
  ): Promise<void> {
    await own.lock(this.locks.slot(row.slot));
    const { message, attempts } = row;
    this.#set(this.#deadOf(row, { message, attempts, reason, error }), own);
    own.stage(() => this.leases.raiseVersion(row.slot));
  }

  /** The messages that wait, in the order of their numbers. */
  waiting(own: MemoryTransaction): readonly NumberedRow[] {
    return this.rows.table
      .entries(own)
      .flatMap(([, row]) => (hasPlace(row) && row.status !== 'dead_letter' ? [row] : []))
      .sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1));
  }

  /** The dead letters, in the order of their numbers. */
  deadLetters(): readonly NumberedRow[] {
    return this.rows.committed((row) => row.status === 'dead_letter');
  }

  /** Puts a dead letter back at its place. The caller has locked its inbox row. */
  async replay(row: NumberedRow, own: MemoryTransaction): Promise<void> {
    await own.lock(this.locks.slot(row.slot));
    this.#set(
      {
        ...row,
        status: 'pending',
        attempts: 0,
        blocks: false,
        error: '',
        reason: '',
        diedAt: null,
      },
      own,
    );
    own.stage(() => this.leases.raiseVersion(row.slot));
  }

  /** Removes a dead letter. The caller has locked its inbox row. */
  async discard(row: NumberedRow, own: MemoryTransaction): Promise<void> {
    await own.lock(this.locks.slot(row.slot));
    this.rows.table.delete(row.seq, own);
    own.stage(() => this.leases.raiseVersion(row.slot));
  }

  /** The row of a message, as the transaction sees it. */
  find({ tenant, source, id }: InboxKey, own: MemoryTransaction): NumberedRow | undefined {
    for (const [, row] of this.rows.table.entries(own)) {
      const { message } = row;
      const same = message.id === id && message.source === source && message.tenant === tenant;
      if (same && hasPlace(row)) return row;
    }
    return undefined;
  }

  #newRow(
    key: InboxKey,
    given: Message,
    line: InboxLine | undefined,
    own: MemoryTransaction,
  ): NumberedRow {
    const message = copyOf(landedForm(key, given));
    // The transaction id comes first, as in every queue.
    this.rows.begin(own);
    const now = this.clock.now();
    return {
      seq: this.rows.nextSeq(),
      slot: placeOfKey(message.tenant, message.topic, message.key).slot,
      status: 'pending',
      attempts: 0,
      ordered: line !== undefined,
      message,
      writtenAt: now,
      dueAt: now,
      error: '',
      reason: '',
      blocks: false,
      diedAt: null,
    };
  }

  #deadOf(row: NumberedRow, { attempts, reason, error, blocks = false }: InboxDeath): NumberedRow {
    return {
      ...row,
      status: 'dead_letter',
      attempts,
      reason,
      error,
      blocks: blocks && row.ordered,
      diedAt: this.clock.date(),
    };
  }

  #set(row: NumberedRow, own: MemoryTransaction): void {
    this.rows.table.set(row.seq, row, own);
  }

  /**
   * The row, if the lease and the row are still those of the process. Its lease row stays locked until the
   * transaction ends, so that no take-over comes in between.
   */
  async #locked(landed: LandedRow, own: MemoryTransaction): Promise<NumberedRow> {
    const { key, incarnation, lease, seq } = landed;
    await own.lock(this.locks.slot(lease.slot), { mode: 'shared' });
    const row: QueueRow | undefined = this.leases.holds(incarnation, lease)
      ? this.rows.table.get(seq, own)
      : undefined;
    if (row === undefined || !hasPlace(row) || !isOpen(row)) {
      throw new LandedRowLostError(key.group, seq);
    }
    await own.lock(this.locks.row(seq));
    return row;
  }
}

/** Whether the message is neither a dead letter nor behind one of its key. */
function isOpen({ status }: QueueRow): boolean {
  return status === 'pending' || status === 'retrying';
}
