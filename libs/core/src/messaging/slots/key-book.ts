import type { HeldKey, KeyName, QueuedMessage } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import { KeyLine } from './key-line.js';
import { LineQueue } from './line-queue.js';
import { minSeq } from './seq.js';
import type { TakenRow } from './slot-work.js';
import { TopicCounts } from './topic-counts.js';

/**
 * The decision about a row that a read found. `full`: so many rows of its key wait here that no more are
 * taken now. `later`: an answer of the store must come first.
 */
export type Offer = 'taken' | 'known' | 'hold' | 'full' | 'later';

/** The most bytes of payloads in memory, but for the last row that is read. */
const ROOM_BYTES = 64 * 1_024 * 1_024;

/** All rows that this process holds, by number and by key. */
export class KeyBook {
  /**
   * Rows that must not be read again: those that wait, are in work, or whose outcome is being written.
   */
  readonly rows = new Map<string, TakenRow>();
  readonly #lines = new Map<string, KeyLine>();
  readonly #mostOfOneKey: number;
  readonly #perSlot = new Map<number, number>();
  readonly topics = new TopicCounts();
  readonly ready = new LineQueue();
  waiting = 0;
  /** How many more bytes of payloads may be read; below 1 none. */
  roomBytes = ROOM_BYTES;
  /** How many reads have begun, which is also the number of the last one. */
  readsBegun = 0;
  /**
   * Empty lines that are kept because a read may be under way that began before their rows were
   * released.
   */
  #freed: KeyLine[] = [];

  /** @param mostOfOneKey so many rows of one key wait here at most, so that a busy key leaves room for others */
  constructor(mostOfOneKey: number) {
    this.#mostOfOneKey = mostOfOneKey;
  }

  /** Whether rows of the key were left in the store and should be read now; asked once. */
  wantsMore(line: KeyLine): boolean {
    if (!line.leftBehind || line.waiting.length > this.#mostOfOneKey / 2) return false;
    line.leftBehind = false;
    return true;
  }

  /** The keys of a slot of which rows were left in the store, because so many of them wait here. */
  leftBehindIn(slot: number): readonly KeyName[] {
    const keys: KeyName[] = [];
    for (const { key, leftBehind } of this.#lines.values()) {
      if (leftBehind && key.slot === slot) keys.push(key);
    }
    return keys;
  }

  /** Begins a read and returns its number. The read may take rows of all keys that were freed before. */
  beginRead(): number {
    this.readsBegun += 1;
    const freed = this.#freed;
    this.#freed = [];
    for (const line of freed) this.tidy(line);
    return this.readsBegun;
  }

  /**
   * The number of rows of a slot that are not finished, without overdue ones, which another process
   * may have.
   */
  countOf(slot: number): number {
    return this.#perSlot.get(slot) ?? 0;
  }

  #wait(topic: string, waiting: number): void {
    this.waiting += waiting;
    this.topics.add(topic, { waiting });
  }

  /** The work begins with the first rows of a line. */
  begin(line: KeyLine, count: number): void {
    line.waiting.splice(0, count);
    line.working += count;
    this.#wait(line.key.topic, -count);
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

  /**
   * Adds a row that was read, if it may be taken. With `hold` the row is added too, and is to be
   * written as held.
   */
  offer(row: QueuedMessage, lease: HeldLease, read: number, afterDeath = false): Offer {
    if (this.rows.has(row.seq)) return 'known';
    // An unordered message has a line of its own, because it waits for no other message and none waits
    // for it.
    const line = row.ordered
      ? this.line(row.message, row.slot)
      : new KeyLine({
          slot: row.slot,
          tenant: row.message.tenant,
          topic: row.message.topic,
          key: row.message.key,
        });
    if (line.releasing || line.freeFromRead > read) return line.leftBehind ? 'full' : 'later';
    const hold = line.holdsBack(row.seq);
    if (!hold && line.waiting.length >= this.#mostOfOneKey) {
      // Nothing after it may be taken before it, also where places become free during this read.
      line.leftBehind = true;
      line.freeFromRead = read + 1;
      return 'full';
    }
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
    this.roomBytes -= row.message.payload.byteLength;
    this.#perSlot.set(row.slot, this.countOf(row.slot) + 1);
    this.topics.add(row.message.topic, { rows: 1, bytes: row.message.payload.byteLength });
    if (hold) return 'hold';
    this.enter(taken);
    return 'taken';
  }

  /** Puts a row among those that wait to be worked on. */
  enter(taken: TakenRow): void {
    taken.state = 'waiting';
    taken.line.insert(taken);
    this.#wait(taken.line.key.topic, 1);
    if (!taken.line.busy) this.ready.push(taken.line);
  }

  /** Removes a row that is finished, or that this process is not to work on any more. */
  forget(taken: TakenRow): void {
    if (!this.rows.delete(taken.row.seq)) return;
    const bytes = taken.row.message.payload.byteLength;
    this.topics.add(taken.line.key.topic, { rows: -1, bytes: -bytes });
    this.roomBytes += bytes;
    if (!taken.overdue) this.#uncount(taken.row.slot);
    if (taken.line.former.delete(taken)) this.resume(taken.line);
    else this.tidy(taken.line);
  }

  /**
   * The store has the row as a retry, so its slot may go to another process before the row is finished
   * here.
   */
  markOverdue(taken: TakenRow): void {
    if (taken.overdue || !this.rows.has(taken.row.seq)) return;
    taken.overdue = true;
    this.#uncount(taken.row.slot);
  }

  /**
   * The row is done and cannot be removed now. It stays known, so that it is not worked on again, but
   * its payload is dropped, and its slot may go to another process.
   */
  setAside(taken: TakenRow): void {
    if (!this.rows.has(taken.row.seq)) return;
    this.markOverdue(taken);
    const { row } = taken;
    const bytes = row.message.payload.byteLength;
    this.topics.add(row.message.topic, { bytes: -bytes });
    this.roomBytes += bytes;
    taken.row = { ...row, message: { ...row.message, payload: new Uint8Array() } };
  }

  #uncount(slot: number): void {
    const left = this.countOf(slot) - 1;
    if (left > 0) this.#perSlot.set(slot, left);
    else this.#perSlot.delete(slot);
  }

  /** Lets a line go on, because its key has nothing to wait for any more. */
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

  /** Takes the waiting rows that must be held out of a line. */
  takeFollowers(line: KeyLine): TakenRow[] {
    const followers = line.waiting.filter((taken) => line.holdsBack(taken.row.seq));
    if (followers.length === 0) return followers;
    const gone = new Set(followers);
    const kept = line.waiting.filter((taken) => !gone.has(taken));
    line.waiting.length = 0;
    line.waiting.push(...kept);
    this.#wait(line.key.topic, -followers.length);
    for (const taken of followers) taken.state = 'ending';
    return followers;
  }

  /**
   * Drops the rows that were not begun, because the consumer closes; the next owner of their slots
   * reads them.
   */
  dropWaiting(): void {
    for (const taken of [...this.rows.values()]) {
      if (taken.state === 'waiting') this.#dropOne(taken);
    }
  }

  /** Drops overdue rows, because the consumer closes; they are retries in the store. */
  dropOverdue(): void {
    for (const taken of [...this.rows.values()]) {
      if (!taken.overdue) continue;
      taken.lost = true;
      this.forget(taken);
    }
  }

  /**
   * Drops the waiting rows of a line behind its first ones. They are read again, and rows behind them must
   * not be taken from a read that is under way.
   *
   * @returns the lowest number that must be read again; null: none was dropped
   */
  dropFrom(line: KeyLine, first: number): string | null {
    const surplus = line.waiting.slice(first);
    const lowest = surplus[0]?.row.seq ?? null;
    if (lowest !== null) line.freeFromRead = this.readsBegun + 1;
    for (const taken of surplus) this.#dropOne(taken);
    return lowest;
  }

  #dropOne(taken: TakenRow): void {
    this.#wait(taken.line.key.topic, -1);
    taken.state = 'ending';
    const at = taken.line.waiting.indexOf(taken);
    if (at >= 0) taken.line.waiting.splice(at, 1);
    this.forget(taken);
  }

  /**
   * A row that was in work when its slot was lost has ended without being done. The waiting rows of
   * its key were read without it, and those of a read under way may be; so all of them must be read
   * again, together with it.
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

  /** The slots that have keys which are held back. */
  slotsHeldBack(): number[] {
    const slots = new Set<number>();
    for (const line of this.#lines.values()) if (line.heads.size > 0) slots.add(line.key.slot);
    return [...slots].sort((a, b) => a - b);
  }

  /**
   * The leases of slots are lost: waiting rows are dropped, and outcomes of rows in work must not be
   * written.
   */
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
      line.dropHeads();
      line.releasing = false;
      line.hasHeld = false;
      this.tidy(line);
    }
  }

  /**
   * Stores which rows hold back keys of some slots, as the store says. Returns the lines that nothing
   * holds back any more although they have held rows.
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
        line.removeHead(seq);
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
