import { SLOT_COUNT } from '../messaging/index.js';
import type {
  Clock,
  FloorProbe,
  HeldKey,
  NewMail,
  Place,
  QueuedMessage,
  QueuedStatus,
  ReadRequest,
  ReadResult,
  SlotChange,
  SlotChangeOutcome,
  SlotLease,
  SlotQueueStore,
  Transaction,
} from '../ports/index.js';
import { appendRows, lockOfKey, type NewRow } from './memory-queue-append.js';
import {
  hasPlace,
  isHead,
  keyNameOf,
  nameOfKey,
  MemoryQueueRows,
  queuedOf,
  type QueueRow,
} from './memory-queue-rows.js';
import { MemorySlotLeases } from './memory-slot-leases.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

export interface MemorySlotQueueParts {
  readonly transactions: MemoryTransactions;
  /** The store's clock, which decides about leases and due times. */
  readonly clock: Clock;
  /**
   * Writes mail in the transaction that makes a dead letter of a message. Without it such a change is
   * refused.
   */
  readonly putMail?: (mail: readonly NewMail[], transaction: Transaction) => Promise<void>;
}

/** A slot queue in memory, with the races of a real one. */
export class MemorySlotQueue implements SlotQueueStore {
  readonly slots = SLOT_COUNT;
  protected readonly rows = new MemoryQueueRows();
  protected readonly leases: MemorySlotLeases;
  protected readonly transactions: MemoryTransactions;
  protected readonly clock: Clock;
  readonly #putMail: MemorySlotQueueParts['putMail'];

  constructor(parts: MemorySlotQueueParts) {
    this.transactions = parts.transactions;
    this.clock = parts.clock;
    this.leases = new MemorySlotLeases(parts.clock, this.slots);
    this.#putMail = parts.putMail;
  }

  /** Writes rows as {@link OutboxStore.append} does. */
  protected appendRows(rows: readonly NewRow[], transaction: MemoryTransaction): Promise<void> {
    return appendRows(this.rows, rows, transaction, this.clock.now());
  }

  async join(incarnation: string, ttlMs: number): Promise<void> {
    this.leases.join(incarnation, ttlMs);
  }

  async renew(
    incarnation: string,
    ttlMs: number,
  ): Promise<{ readonly members: number; readonly leases: readonly SlotLease[] }> {
    return this.leases.renew(incarnation, ttlMs);
  }

  async acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]> {
    return this.transactions.within(undefined, (transaction) => {
      const taken: SlotLease[] = [];
      for (const slot of this.leases.free()) {
        if (taken.length >= limit) break;
        // A change of the former owner that has not ended holds the lock of the row, so it is waited
        // for.
        if (!transaction.tryLock(lockOfSlot(slot))) continue;
        taken.push(this.leases.take(slot, incarnation, ttlMs));
      }
      return taken;
    });
  }

  async release(incarnation: string, slots: readonly number[]): Promise<void> {
    this.leases.release(incarnation, slots);
  }

  async leave(incarnation: string): Promise<void> {
    this.leases.leave(incarnation);
  }

  async noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<void> {
    if (this.leases.holds(incarnation, lease)) this.leases.noteSuspect(lease, seq);
  }

  async retractCrashes(lapsed: readonly SlotLease[]): Promise<void> {
    this.leases.retractCrashes(lapsed);
  }

  async probeFloor(): Promise<FloorProbe> {
    return this.rows.probe();
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const snapshotXmin = this.rows.xmin();
    const now = this.clock.now();
    const inFlight = new Set(request.inFlight);
    const floors = new Map(request.windows.map(({ slot, floor }) => [slot, BigInt(floor)]));
    const bySlot = new Map<number, QueuedMessage[]>();
    const { keys = [], within = Infinity } = request.passingOver ?? {};
    const passedOver = new Set(keys.map(nameOfKey));
    const looked = new Map<number, number>();
    for (const row of this.rows.committed((candidate) => candidate.status === 'pending')) {
      const floor = floors.get(row.slot);
      if (floor === undefined || BigInt(row.seq) <= floor) continue;
      const before = looked.get(row.slot) ?? 0;
      looked.set(row.slot, before + 1);
      if (before >= within || inFlight.has(row.seq)) continue;
      if (row.ordered && passedOver.has(keyNameOf(row))) continue;
      const rows = bySlot.get(row.slot) ?? [];
      bySlot.set(row.slot, rows);
      if (rows.length < request.perSlot) rows.push(queuedOf(row, now));
    }
    const rows = request.windows.flatMap(({ slot }) => bySlot.get(slot) ?? []);
    return { rows: rows.slice(0, request.limit), snapshotXmin };
  }

  async heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]> {
    const slots = this.#held(incarnation, leases);
    const heads: HeldKey[] = [];
    const headed = new Set<string>();
    const aside = new Map<string, HeldKey>();
    for (const row of this.rows.committed((candidate) => slots.has(candidate.slot))) {
      const { tenant, topic, key } = row.message;
      if (isHead(row)) {
        heads.push({ slot: row.slot, tenant, topic, key, head: row.seq });
        headed.add(keyNameOf(row));
      } else if (row.status === 'held') {
        aside.set(keyNameOf(row), { slot: row.slot, tenant, topic, key, head: null });
      }
    }
    const orphans = [...aside].filter(([name]) => !headed.has(name)).map(([, key]) => key);
    return [...heads, ...orphans];
  }

  async readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    limit: number,
  ): Promise<readonly QueuedMessage[]> {
    const slots = this.#held(incarnation, leases);
    const now = this.clock.now();
    const seen = new Set<string>();
    const due: QueuedMessage[] = [];
    const retrying = this.rows.committed((row) => row.status === 'retrying' && slots.has(row.slot));
    for (const row of retrying) {
      const first = !row.ordered || !seen.has(keyNameOf(row));
      if (row.ordered) seen.add(keyNameOf(row));
      if (first && row.dueAt <= now && due.length < limit) due.push(queuedOf(row, now));
    }
    return due;
  }

  async promote(limit: number): Promise<number> {
    return this.transactions.within(undefined, async (transaction) => {
      const now = this.clock.now();
      const due = [...this.rows.table.committed()]
        .filter(([, row]) => isPromotable(row) && row.dueAt <= now)
        .sort(([, a], [, b]) => a.dueAt - b.dueAt)
        .slice(0, limit);
      const delayed = due.filter(([, row]) => row.status === 'delayed');
      const locks = delayed
        .filter(([, row]) => row.ordered)
        .map(([, row]) => lockOfKey(row.message));
      for (const lock of [...new Set(locks)].sort()) await transaction.lock(lock);
      this.rows.begin(transaction);
      let promoted = 0;
      for (const [key] of due) {
        // Another call may have promoted the row while this one waited for the lock of its key.
        const row = this.rows.table.get(key);
        if (row === undefined || !isPromotable(row)) continue;
        promoted += 1;
        const seq = row.seq ?? this.rows.nextSeq();
        if (row.seq === null) this.rows.table.delete(key, transaction);
        else this.leases.raiseVersion(row.slot);
        this.rows.table.set(seq, { ...row, seq, status: 'pending' }, transaction);
      }
      return promoted;
    });
  }

  async nextDueInMs(slots: readonly number[]): Promise<number | null> {
    const wanted = new Set(slots);
    let next: number | null = null;
    for (const row of this.rows.table.committed().values()) {
      if (!wanted.has(row.slot) || !(isPromotable(row) || row.status === 'retrying')) continue;
      next = next === null ? row.dueAt : Math.min(next, row.dueAt);
    }
    return next === null ? null : Math.max(0, next - this.clock.now());
  }

  async complete(places: readonly Place[]): Promise<void> {
    await this.transactions.within(undefined, (transaction) => {
      for (const { seq } of places) this.rows.table.delete(seq, transaction);
    });
  }

  async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    return this.transactions.within(undefined, async (transaction) => {
      const held = await this.lockLeases(incarnation, leases, transaction);
      const outcomes: SlotChangeOutcome[] = [];
      for (const change of changes) {
        const slot = change.kind === 'release' ? change.key.slot : change.place.slot;
        outcomes.push(held.has(slot) ? await this.#apply(change, transaction) : 'lost_lease');
      }
      return outcomes;
    });
  }

  async unserved(): Promise<number | null> {
    if (this.leases.served) return null;
    const now = this.clock.now();
    let oldest: number | null = null;
    for (const row of this.rows.table.committed().values()) {
      const due = isPromotable(row) || row.status === 'retrying';
      if (row.status !== 'pending' && !(due && row.dueAt <= now)) continue;
      oldest = Math.min(oldest ?? Infinity, due ? row.dueAt : row.writtenAt);
    }
    return oldest === null ? null : now - oldest;
  }

  async stats(): Promise<{
    readonly byStatus: ReadonlyMap<QueuedStatus, number>;
    readonly oldestPendingMs: number | null;
  }> {
    const byStatus = new Map<QueuedStatus, number>();
    let oldest: number | null = null;
    for (const row of this.rows.table.committed().values()) {
      byStatus.set(row.status, (byStatus.get(row.status) ?? 0) + 1);
      if (row.status !== 'pending') continue;
      oldest = oldest === null ? row.writtenAt : Math.min(oldest, row.writtenAt);
    }
    return { byStatus, oldestPendingMs: oldest === null ? null : this.clock.now() - oldest };
  }

  /**
   * The slots of this owner whose lease rows could be locked. The owner is checked after the row is
   * locked; otherwise a take-over could commit in between.
   */
  protected async lockLeases(
    incarnation: string,
    leases: readonly SlotLease[],
    transaction: MemoryTransaction,
  ): Promise<ReadonlySet<number>> {
    for (const slot of leases.map((lease) => lease.slot).sort((a, b) => a - b)) {
      await transaction.lock(lockOfSlot(slot), { mode: 'shared' });
    }
    return this.#held(incarnation, leases);
  }

  #held(incarnation: string, leases: readonly SlotLease[]): ReadonlySet<number> {
    const held = leases.filter((lease) => this.leases.holds(incarnation, lease));
    return new Set(held.map((lease) => lease.slot));
  }

  async #apply(change: SlotChange, transaction: MemoryTransaction): Promise<SlotChangeOutcome> {
    if (change.kind === 'release') return this.#release(change, transaction);
    const row = this.rows.table.get(change.place.seq, transaction);
    if (row === undefined || !hasPlace(row)) return 'gone';
    const overtakes = change.kind === 'retry' && change.onlyFirst === true && this.#isBehind(row);
    const next = overtakes ? null : this.#changed(row, change);
    if (next === null) return 'gone';
    this.rows.table.set(row.seq, next, transaction);
    if (change.kind === 'dead_letter' && change.mail !== undefined) {
      if (this.#putMail === undefined) throw new TypeError('This queue has no saga mail.');
      await this.#putMail([change.mail], transaction);
    }
    return 'changed';
  }

  /** Whether a row with a lower number comes before this one in its key. */
  #isBehind(row: QueueRow & { readonly seq: string }): boolean {
    if (!row.ordered) return false;
    const [first] = this.rows.committed(
      (other) =>
        other.ordered &&
        keyNameOf(other) === keyNameOf(row) &&
        (other.status !== 'dead_letter' || other.blocks),
    );
    return first !== undefined && BigInt(first.seq) < BigInt(row.seq);
  }

  #changed(row: QueueRow, change: Exclude<SlotChange, { kind: 'release' }>): QueueRow | null {
    switch (change.kind) {
      case 'hold':
        return row.status === 'pending' || row.status === 'held'
          ? { ...row, status: 'held' }
          : null;
      case 'retry':
        if (row.status !== 'pending' && row.status !== 'retrying') return null;
        return {
          ...row,
          status: 'retrying',
          attempts: row.attempts + (change.counts ? 1 : 0),
          dueAt: this.clock.now() + change.delayMs,
          error: change.error,
        };
      case 'dead_letter':
        if (row.status !== 'pending' && row.status !== 'retrying') return null;
        return {
          ...row,
          status: 'dead_letter',
          attempts: row.attempts + (change.counts ? 1 : 0),
          error: change.error,
          reason: change.reason,
          blocks: change.block,
          diedAt: this.clock.date(),
        };
    }
  }

  #release(
    change: Extract<SlotChange, { kind: 'release' }>,
    transaction: MemoryTransaction,
  ): SlotChangeOutcome {
    const name = nameOfKey(change.key);
    for (const [key, row] of this.rows.table.entries(transaction)) {
      if (row.status !== 'held' || keyNameOf(row) !== name) continue;
      this.rows.table.set(key, { ...row, status: 'pending' }, transaction);
    }
    return 'changed';
  }
}

function isPromotable(row: QueueRow): boolean {
  return row.status === 'delayed' || row.status === 'optimistic';
}

export function lockOfSlot(slot: number): string {
  return `slot:${slot}`;
}
