import { SLOT_COUNT } from '../messaging/index.js';
import type {
  Clock,
  DueFloor,
  DueRequest,
  FloorProbe,
  HeldKey,
  PassedTopics,
  Place,
  QueuedMessage,
  ReadRequest,
  ReadResult,
  RenewedLeases,
  SlotChange,
  SlotChangeOutcome,
  SlotLease,
  SlotQueueStore,
  WithoutTopics,
} from '../ports/index.js';
import { changedRow } from './memory-changed-row.js';
import { appendRows, type NewRow } from './memory-queue-append.js';
import { countRows, longestWaitMs } from './memory-queue-counts.js';
import { MemoryQueueLocks } from './memory-queue-locks.js';
import { dueWithin, passDueTopics, passTopics } from './memory-passed-topics.js';
import { heldKeysOf } from './memory-held-keys.js';
import {
  bytesOfRow,
  dueRetries,
  hasPlace,
  isPromotable,
  keyNameOf,
  nameOfKey,
  MemoryQueueRows,
  queuedOf,
  type QueueRow,
} from './memory-queue-rows.js';
import { MemorySlotLeases } from './memory-slot-leases.js';
import type { MemorySlotQueueParts } from './memory-slot-queue-parts.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';
import { withinBytes } from './within-bytes.js';

/** A slot queue in memory, with the races of a real one. */
export class MemorySlotQueue implements SlotQueueStore {
  readonly slots = SLOT_COUNT;
  protected readonly rows: MemoryQueueRows;
  protected readonly leases: MemorySlotLeases;
  protected readonly transactions: MemoryTransactions;
  protected readonly clock: Clock;
  protected readonly locks: MemoryQueueLocks;
  readonly #putMail: MemorySlotQueueParts['putMail'];

  constructor(parts: MemorySlotQueueParts) {
    this.transactions = parts.transactions;
    this.clock = parts.clock;
    this.rows = new MemoryQueueRows(parts.sequence);
    this.locks = new MemoryQueueLocks(parts.queue ?? 'outbox');
    this.leases = new MemorySlotLeases(parts.clock, this.slots);
    this.#putMail = parts.putMail;
  }

  /** Writes rows as {@link OutboxStore.append} does. */
  protected appendRows(rows: readonly NewRow[], transaction: MemoryTransaction): Promise<void> {
    return appendRows(this.rows, this.locks, rows, transaction, this.clock.now());
  }

  async join(incarnation: string, ttlMs: number): Promise<void> {
    this.leases.join(incarnation, ttlMs);
  }

  async renew(incarnation: string, ttlMs: number): Promise<RenewedLeases> {
    return this.transactions.within(undefined, (transaction) =>
      this.leases.renew(incarnation, ttlMs, (slot) => transaction.tryLock(this.locks.slot(slot))),
    );
  }

  async acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]> {
    return this.transactions.within(undefined, (transaction) => {
      const taken: SlotLease[] = [];
      for (const slot of this.leases.free()) {
        if (taken.length >= limit) break;
        // A change of the former owner that has not ended holds the lock of the row, so it is waited
        // for.
        if (!transaction.tryLock(this.locks.slot(slot))) continue;
        taken.push(this.leases.take(slot, incarnation, ttlMs));
      }
      return taken;
    });
  }

  async release(incarnation: string, slots: readonly number[]): Promise<void> {
    await this.#whereFree(slots, (free) => this.leases.release(incarnation, free));
  }

  async leave(incarnation: string): Promise<void> {
    await this.release(
      incarnation,
      Array.from({ length: this.slots }, (_, slot) => slot),
    );
    this.leases.leave(incarnation);
  }

  async noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<boolean> {
    return this.#whereFree([lease.slot], (free) => {
      if (free.length === 0 || !this.leases.holds(incarnation, lease)) return false;
      this.leases.noteSuspect(lease, seq);
      return true;
    });
  }

  async retractCrashes(lapsed: readonly SlotLease[]): Promise<readonly SlotLease[]> {
    return this.#whereFree(
      lapsed.map(({ slot }) => slot),
      (free) => {
        const told = lapsed.filter(({ slot }) => free.includes(slot));
        this.leases.retractCrashes(told);
        return told;
      },
    );
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
    const { keys = [], topics, within = Infinity } = request.passingOver ?? {};
    const passedOver = new Set(keys.map(nameOfKey));
    const leftOut = new Set(topics);
    const looked = new Map<number, number>();
    for (const row of this.rows.committed((candidate) => candidate.status === 'pending')) {
      const floor = floors.get(row.slot);
      if (floor === undefined || BigInt(row.seq) <= floor) continue;
      const before = looked.get(row.slot) ?? 0;
      looked.set(row.slot, before + 1);
      if (before >= within || inFlight.has(row.seq) || leftOut.has(row.message.topic)) continue;
      if (row.ordered && passedOver.has(keyNameOf(row))) continue;
      const rows = bySlot.get(row.slot) ?? [];
      bySlot.set(row.slot, rows);
      if (rows.length < request.perSlot) rows.push(queuedOf(row, now));
    }
    const rows = request.windows.flatMap(({ slot }) => bySlot.get(slot) ?? []);
    const read = withinBytes(rows.slice(0, request.limit), request.bytes, bytesOfRow);
    const complete = rows.length < request.limit && read.length === rows.length;
    return { rows: read, complete, snapshotXmin };
  }

  async heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]> {
    const slots = this.#held(incarnation, leases);
    return heldKeysOf(this.rows.committed((row) => slots.has(row.slot)));
  }

  async readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    request: DueRequest,
  ): Promise<readonly QueuedMessage[]> {
    const slots = this.#held(incarnation, leases);
    const retrying = this.rows.committed((row) => row.status === 'retrying' && slots.has(row.slot));
    return dueRetries(retrying, request, this.clock.now());
  }

  async passTopics(request: Parameters<SlotQueueStore['passTopics']>[0]): Promise<PassedTopics> {
    const snapshotXmin = this.rows.xmin();
    const pending = this.rows.committed((row) => row.status === 'pending');
    return { slots: passTopics(pending, request), snapshotXmin };
  }

  async passDueTopics(
    slots: readonly number[],
    without: WithoutTopics,
  ): Promise<readonly DueFloor[]> {
    const now = this.clock.now();
    const due = this.rows.committed((row) => row.status === 'retrying' && row.dueAt <= now);
    return passDueTopics(due, slots, without);
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
        .map(([, row]) => this.locks.key(row.message));
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

  async nextDueInMs(slots: readonly number[], without?: WithoutTopics): Promise<number | null> {
    const leftOut = new Set(without?.topics);
    const retrying = this.rows.committed(({ status }) => status === 'retrying');
    const due = [
      ...slots.flatMap((slot) =>
        dueWithin(retrying, slot, without).filter(({ message }) => !leftOut.has(message.topic)),
      ),
      ...[...this.rows.table.committed().values()].filter(
        (row) => isPromotable(row) && slots.includes(row.slot),
      ),
    ];
    if (due.length === 0) return null;
    const next = due.reduce((least, { dueAt }) => Math.min(least, dueAt), Infinity);
    return Math.max(0, next - this.clock.now());
  }

  async complete(places: readonly Place[]): Promise<readonly Place[]> {
    return this.transactions.within(undefined, (transaction) => {
      const left: Place[] = [];
      for (const place of places) {
        if (this.rows.table.get(place.seq) === undefined) continue;
        const free = transaction.tryLock(this.locks.row(place.seq));
        if (free) this.rows.table.delete(place.seq, transaction);
        else left.push(place);
      }
      return left;
    });
  }

  async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    return this.transactions.within(undefined, async (transaction) => {
      const locked = await this.lockLeases(incarnation, leases, transaction);
      const held = this.#held(incarnation, leases);
      const outcomes: SlotChangeOutcome[] = [];
      for (const change of changes) {
        const slot = change.kind === 'release' ? change.key.slot : change.place.slot;
        if (locked.has(slot)) outcomes.push(await this.#apply(change, transaction));
        else outcomes.push(held.has(slot) ? 'busy' : 'lost_lease');
      }
      return outcomes;
    });
  }

  async unserved(): Promise<number | null> {
    if (this.leases.served) return null;
    return longestWaitMs(this.rows.table.committed().values(), this.clock.now());
  }

  async stats(): ReturnType<SlotQueueStore['stats']> {
    return countRows(this.rows.table.committed().values(), this.clock.now());
  }

  /**
   * The slots of this owner whose lease rows could be locked without a wait. The owner is checked after
   * the row is locked; otherwise a take-over could commit in between.
   */
  protected async lockLeases(
    incarnation: string,
    leases: readonly SlotLease[],
    transaction: MemoryTransaction,
  ): Promise<ReadonlySet<number>> {
    const locked = leases.filter(({ slot }) =>
      transaction.tryLock(this.locks.slot(slot), 'shared'),
    );
    return this.#held(incarnation, locked);
  }

  /** Does something with those of the slots whose lease rows no other transaction has locked. */
  #whereFree<T>(slots: readonly number[], work: (free: readonly number[]) => T): Promise<T> {
    return this.transactions.within(undefined, (transaction) =>
      work(slots.filter((slot) => transaction.tryLock(this.locks.slot(slot)))),
    );
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
    const next = overtakes ? null : changedRow(row, change, this.clock);
    if (next === null) return 'gone';
    if (!transaction.tryLock(this.locks.row(row.seq))) return 'busy';
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

  #release(
    change: Extract<SlotChange, { kind: 'release' }>,
    transaction: MemoryTransaction,
  ): SlotChangeOutcome {
    const name = nameOfKey(change.key);
    const held = this.rows.table
      .entries(transaction)
      .filter(([, row]) => row.status === 'held' && keyNameOf(row) === name);
    // One that stayed behind would be overtaken by those after it.
    if (!held.every(([key]) => transaction.tryLock(this.locks.row(key)))) return 'busy';
    for (const [key, row] of held) {
      this.rows.table.set(key, { ...row, status: 'pending' }, transaction);
    }
    return 'changed';
  }
}
