import type { KeyName } from '../../ports/index.js';
import { compareSeq, minSeq } from './seq.js';
import type { TakenRow } from './slot-work.js';

/** The messages of one key, in their order, as far as this process holds them. */
export class KeyLine {
  readonly key: KeyName;
  /** Rows that were read and not yet begun; ascending. */
  readonly waiting: TakenRow[] = [];
  /** How many rows are in work, or have an outcome that the key must wait for. */
  working = 0;
  /**
   * Rows that were in work when their slot was lost, and of which it is not known yet whether they are
   * done. A read finds the rows after them but not them, so no row of the key is begun until they have
   * ended.
   */
  readonly former = new Set<TakenRow>();
  /** Whether the line is in the queue of lines with a row to begin. */
  queued = false;
  /**
   * The numbers of the rows that hold the key back. Rows with a lower number may go on, those with a
   * higher one are held. False: the row became a head in this process and its change has not been
   * answered yet, so a list of held keys that is read meanwhile may lack it.
   */
  readonly heads = new Map<string, { confirmed: boolean }>();
  /**
   * The lowest head that is gone since rows were held. Behind several heads, some held rows lie below
   * the last one, and must be read too when all become pending.
   */
  #lowestGone: string | null = null;
  /**
   * Whether the store may have held rows of the key, which become pending when the last head is gone.
   */
  hasHeld = false;
  /**
   * Whether the held rows are being made pending. Rows of a read that began before that are not taken,
   * because such a read finds newer rows of the key and not the held ones, which the newer ones would
   * then overtake.
   */
  releasing = false;
  /** Rows of the key were left in the store, because so many of them wait here already. */
  leftBehind = false;
  /** Rows of the key are taken only from reads with this number or a later one. */
  freeFromRead = 0;

  constructor(key: KeyName) {
    this.key = key;
  }

  /** Removes a head. Returns whether it was one. */
  removeHead(seq: string): boolean {
    if (!this.heads.delete(seq)) return false;
    this.#lowestGone = this.#lowestGone === null ? seq : minSeq(this.#lowestGone, seq);
    if (this.heads.size === 0 && !this.hasHeld) this.#lowestGone = null;
    return true;
  }

  /** The slot is lost: its next owner learns from the store what holds the key back. */
  dropHeads(): void {
    this.heads.clear();
    this.#lowestGone = null;
  }

  /** The number above which all held rows lie, if those above `below` become pending; asked once. */
  takeLowestGone(below: string): string {
    const lowest = this.#lowestGone;
    this.#lowestGone = null;
    return lowest === null ? below : minSeq(lowest, below);
  }

  get lowestHead(): string | null {
    let lowest: string | null = null;
    for (const head of this.heads.keys()) lowest = lowest === null ? head : minSeq(lowest, head);
    return lowest;
  }

  /** Whether a row must be held, because a row with a lower number holds the key back. */
  holdsBack(seq: string): boolean {
    if (this.heads.size === 0) return false;
    const lowest = this.lowestHead;
    return lowest !== null && compareSeq(seq, lowest) > 0;
  }

  /** Inserts a row at its place, which is nearly always the end. */
  insert(taken: TakenRow): void {
    let at = this.waiting.length;
    while (at > 0) {
      const before = this.waiting[at - 1];
      if (before === undefined || compareSeq(before.row.seq, taken.row.seq) < 0) break;
      at -= 1;
    }
    this.waiting.splice(at, 0, taken);
  }

  /** Whether a row of the key is in work, so that no other may be begun. */
  get busy(): boolean {
    return this.working > 0 || this.former.size > 0;
  }

  get empty(): boolean {
    return this.waiting.length === 0 && !this.busy && this.heads.size === 0 && !this.releasing;
  }
}
