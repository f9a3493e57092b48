import type { KeyName } from '../../ports/index.js';
import { compareSeq, minSeq } from './seq.js';
import type { TakenRow } from './slot-work.js';

/** The messages of one key, in their order, as far as this process holds them. */
export class KeyLine {
  readonly key: KeyName;
  /** Read, not yet worked on; ascending. */
  readonly waiting: TakenRow[] = [];
  /** How many are being worked on, or have an outcome the key must wait for. */
  working = 0;
  /**
   * Rows that were in hand when their slot was lost, and of which it is not known yet whether they
   * were done. A read shows the rows after them but not them, so nothing of the key is begun until
   * they have ended.
   */
  readonly former = new Set<TakenRow>();
  /** In the queue of lines that may be taken from. */
  queued = false;
  /**
   * Numbers of the rows that hold the key back. What is lower may pass, what is higher is moved
   * aside. False: the head was made here and its change has not been answered yet, so a list of
   * held keys read meanwhile may lack it.
   */
  readonly heads = new Map<string, { confirmed: boolean }>();
  /** Rows may lie aside in the store: they are called back when the last head is gone. */
  hasHeld = false;
  /**
   * The held rows are on their way back to pending. Rows of a read that began before they were are
   * left alone, or a newcomer would overtake them: it shows the newcomer but not them.
   */
  releasing = false;
  /** Rows of the key are taken from this read on. */
  freeFromRead = 0;

  constructor(key: KeyName) {
    this.key = key;
  }

  get lowestHead(): string | null {
    let lowest: string | null = null;
    for (const head of this.heads.keys()) lowest = lowest === null ? head : minSeq(lowest, head);
    return lowest;
  }

  /** Whether a row must lie aside: something with a lower number holds the key back. */
  holdsBack(seq: string): boolean {
    if (this.heads.size === 0) return false;
    const lowest = this.lowestHead;
    return lowest !== null && compareSeq(seq, lowest) > 0;
  }

  /** Puts a row at its place. Nearly always that is the end. */
  insert(taken: TakenRow): void {
    let at = this.waiting.length;
    while (at > 0) {
      const before = this.waiting[at - 1];
      if (before === undefined || compareSeq(before.row.seq, taken.row.seq) < 0) break;
      at -= 1;
    }
    this.waiting.splice(at, 0, taken);
  }

  /** Whether a row of the key is in hand, so that no other may be begun. */
  get busy(): boolean {
    return this.working > 0 || this.former.size > 0;
  }

  get empty(): boolean {
    return this.waiting.length === 0 && !this.busy && this.heads.size === 0 && !this.releasing;
  }
}
