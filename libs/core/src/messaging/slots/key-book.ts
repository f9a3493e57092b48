import type { HeldKey, QueuedMessage } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import { KeyLine } from './key-line.js';
import { LineQueue } from './line-queue.js';
import { minSeq } from './seq.js';
import type { TakenRow } from './slot-work.js';

/** What to do with a row that a read showed. */
export type Offer = 'taken' | 'known' | 'hold' | 'later';

/** All rows this process holds, by number and by key. */
export class KeyBook {
  /** Rows that must not be read again: waiting, worked on, or with an outcome on its way. */
  readonly rows = new Map<string, TakenRow>();
  readonly #lines = new Map<string, KeyLine>();
  readonly #perSlot = new Map<number, number>();
  readonly ready = new LineQueue();
  waiting = 0;
  /** Of the payloads of all rows here. */
  bytes = 0;
  /** How many reads have begun; the number of the one under way or of the last one. */
  readsBegun = 0;
  /** Empty lines that are kept because a read may be under way that began before their release. */
  #freed: KeyLine[] = [];

  /** A read begins: its number. Everything freed so far may be taken from it. */
  beginRead(): number {
    this.readsBegun += 1;
    const freed = this.#freed;
    this.#freed = [];
    for (const line of freed) this.tidy(line);
    return this.readsBegun;
  }

  /** Rows of a slot that are not finished, without those that are overdue: others may have them. */
  countOf(slot: number): number {
    return this.#perSlot.get(slot) ?? 0;
  }

  find(row: QueuedMessage): KeyLine | undefined {
    return this.#lines.get(nameOf(row.message.tenant, row.message.topic, row.message.key));
  }

  line(key: { tenant: string; topic: string; key: string }, slot: number): KeyLine {
    const name = nameOf(key.tenant, key.topic, key.key);
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = new KeyLine({ slot, tenant: key.tenant, topic: key.topic, key: key.key });
      this.#lines.set(name, line);
    }
    return line;
  }

  /** Puts a row that was read where it belongs. `hold` takes it too: it is on its way aside. */
  offer(row: QueuedMessage, lease: HeldLease, read: number, afterDeath = false): Offer {
    if (this.rows.has(row.seq)) return 'known';
    // An unordered message has a line of its own: nothing waits for it, and it for nothing.
    const line = row.ordered
      ? this.line(row.message, row.slot)
      : new KeyLine({
          slot: row.slot,
          tenant: row.message.tenant,
          topic: row.message.topic,
          key: row.message.key,
        });
    if (line.releasing || line.freeFromRead > read) return 'later';
    const hold = line.holdsBack(row.seq);
    const taken: TakenRow = {
      row,
      lease,
      line,
      afterDeath,
      batchLimit: Infinity,
      overdue: false,
      state: hold ? 'ending' : 'waiting',
      lost: false,
    };
    this.rows.set(row.seq, taken);
    this.bytes += row.message.payload.byteLength;
    this.#perSlot.set(row.slot, this.countOf(row.slot) + 1);
    if (hold) return 'hold';
    this.enter(taken);
    return 'taken';
  }

  /** A row waits (again) to be worked on. */
  enter(taken: TakenRow): void {
    taken.state = 'waiting';
    taken.line.insert(taken);
    this.waiting += 1;
    if (!taken.line.busy) this.ready.push(taken.line);
  }

  /** The row is finished, or no business of ours any more. */
  forget(taken: TakenRow): void {
    if (!this.rows.delete(taken.row.seq)) return;
    this.bytes -= taken.row.message.payload.byteLength;
    if (!taken.overdue) this.#uncount(taken.row.slot);
    if (taken.line.former.delete(taken)) this.resume(taken.line);
    else this.tidy(taken.line);
  }

  /** The store has the row as a retry: its slot may go to another process before it is finished here. */
  markOverdue(taken: TakenRow): void {
    if (taken.overdue || !this.rows.has(taken.row.seq)) return;
    taken.overdue = true;
    this.#uncount(taken.row.slot);
  }

  /**
   * The row is done and cannot be removed now. It is remembered, so that it is not worked on again here,
   * but holds neither its slot, which others may take, nor memory for what it carries.
   */
  setAside(taken: TakenRow): void {
    if (!this.rows.has(taken.row.seq)) return;
    this.markOverdue(taken);
    const { row } = taken;
    this.bytes -= row.message.payload.byteLength;
    taken.row = { ...row, message: { ...row.message, payload: new Uint8Array() } };
  }

  #uncount(slot: number): void {
    const left = this.countOf(slot) - 1;
    if (left > 0) this.#perSlot.set(slot, left);
    else this.#perSlot.delete(slot);
  }

  /** The line may go on: whatever its key had to wait for is over. */
  resume(line: KeyLine): void {
    if (!line.busy && line.waiting.length > 0) this.ready.push(line);
    else this.tidy(line);
  }

  tidy(line: KeyLine): void {
    if (!line.empty) return;
    if (line.freeFromRead > this.readsBegun) {
      this.#freed.push(line);
      return;
    }
    const name = nameOf(line.key.tenant, line.key.topic, line.key.key);
    if (this.#lines.get(name) === line) this.#lines.delete(name);
  }

  /** Takes the waiting rows that must lie aside out of a line. */
  takeFollowers(line: KeyLine): TakenRow[] {
    const followers = line.waiting.filter((taken) => line.holdsBack(taken.row.seq));
    if (followers.length === 0) return followers;
    const gone = new Set(followers);
    const kept = line.waiting.filter((taken) => !gone.has(taken));
    line.waiting.length = 0;
    line.waiting.push(...kept);
    this.waiting -= followers.length;
    for (const taken of followers) taken.state = 'ending';
    return followers;
  }

  /** The consumer closes: what was not begun is left to whoever comes next. */
  dropWaiting(): void {
    for (const taken of [...this.rows.values()]) {
      if (taken.state === 'waiting') this.#dropOne(taken);
    }
  }

  /** The consumer closes: what is overdue is a retry in the store, whoever has the slot then. */
  dropOverdue(): void {
    for (const taken of [...this.rows.values()]) {
      if (!taken.overdue) continue;
      taken.lost = true;
      this.forget(taken);
    }
  }

  #dropOne(taken: TakenRow): void {
    this.waiting -= 1;
    taken.state = 'ending';
    const at = taken.line.waiting.indexOf(taken);
    if (at >= 0) taken.line.waiting.splice(at, 1);
    this.forget(taken);
  }

  /**
   * A row that was in hand when its slot was lost has ended and is not done. What waits of its key was
   * read without it, and what is being read now may be: all of it must be read again, with it.
   *
   * @returns the lowest number that must be read again
   */
  leftUndone(taken: TakenRow): string {
    const { line } = taken;
    let lowest = taken.row.seq;
    for (const follower of [...line.waiting]) {
      lowest = minSeq(lowest, follower.row.seq);
      this.#dropOne(follower);
    }
    line.freeFromRead = this.readsBegun + 1;
    return lowest;
  }

  /** The slots some of whose keys are held back. */
  slotsHeldBack(): number[] {
    const slots = new Set<number>();
    for (const line of this.#lines.values()) if (line.heads.size > 0) slots.add(line.key.slot);
    return [...slots].sort((a, b) => a - b);
  }

  /** The leases are gone: what waits is forgotten, what is worked on must not be written. */
  dropSlots(slots: ReadonlySet<number>): void {
    for (const taken of [...this.rows.values()]) {
      if (!slots.has(taken.row.slot)) continue;
      if (!taken.lost && taken.state !== 'waiting' && taken.state !== 'done') {
        taken.line.former.add(taken);
      }
      taken.lost = true;
      if (taken.state === 'waiting') this.#dropOne(taken);
    }
    for (const line of [...this.#lines.values()]) {
      if (!slots.has(line.key.slot)) continue;
      line.heads.clear();
      line.releasing = false;
      line.hasHeld = false;
      this.tidy(line);
    }
  }

  /**
   * Takes over what the store says holds back keys of some slots; the lines that nothing holds back
   * any more although rows lie aside.
   */
  loadHeld(slots: ReadonlySet<number>, held: readonly HeldKey[]): KeyLine[] {
    const named = new Map<KeyLine, Set<string>>();
    for (const key of held) {
      const line = this.line(key, key.slot);
      const heads = named.get(line) ?? new Set();
      named.set(line, heads);
      line.hasHeld = true;
      if (key.head === null) continue;
      heads.add(key.head);
      const head = line.heads.get(key.head);
      if (head === undefined) line.heads.set(key.head, { confirmed: true });
      else head.confirmed = true;
    }
    const free: KeyLine[] = [];
    for (const line of [...this.#lines.values()]) {
      if (!slots.has(line.key.slot)) continue;
      const heads = named.get(line);
      let removed = false;
      for (const [seq, head] of line.heads) {
        if (!head.confirmed || heads?.has(seq) === true) continue;
        line.heads.delete(seq);
        removed = true;
      }
      if (line.heads.size === 0 && (removed || heads !== undefined) && line.hasHeld)
        free.push(line);
      else this.tidy(line);
    }
    return free;
  }
}

function nameOf(tenant: string, topic: string, key: string): string {
  return `${tenant}\u0000${topic}\u0000${key}`;
}
