import type { QueuedMessage } from '../../ports/index.js';
import type { FloorMark, Floors } from './floors.js';
import { compareSeq, minSeq, seqBefore } from './seq.js';

interface Bound {
  count: number;
  /** The highest number. */
  last: string;
  /** The lowest number of a row that was not taken. */
  left: string | null;
  /** How many rows were not taken because so many of their key wait in memory. */
  full: number;
}

/** The rows that a read showed of each slot, and the lowest of them that was left in the store. */
export class ReadBounds {
  readonly #perSlot: number;
  readonly #bounds = new Map<number, Bound>();

  /** @param perSlot the most rows of a slot that the read shows */
  constructor(perSlot: number) {
    this.#perSlot = perSlot;
  }

  has(slot: number): boolean {
    return this.#bounds.has(slot);
  }

  /** Whether there may be more rows of a slot than were shown. */
  get cutOff(): boolean {
    return [...this.#bounds.values()].some((bound) => bound.count >= this.#perSlot);
  }

  /**
   * The slots that were shown, and whether their rows belong to keys of which no more are taken now.
   *
   * @param cut the slot in which the read ended at its bound of rows or bytes; null: in none
   */
  *crowded(cut: number | null): Iterable<readonly [number, boolean]> {
    for (const [slot, { count, full }] of this.#bounds) {
      yield [slot, (count >= this.#perSlot || slot === cut) && full === count];
    }
  }

  /** @param taken false: the row stays in the store; `full`: because so many of its key wait here */
  add({ slot, seq }: QueuedMessage, taken: boolean | 'full'): void {
    let bound = this.#bounds.get(slot);
    if (bound === undefined) {
      bound = { count: 0, last: seq, left: null, full: 0 };
      this.#bounds.set(slot, bound);
    }
    bound.count += 1;
    if (compareSeq(seq, bound.last) > 0) bound.last = seq;
    if (taken === true) return;
    bound.left = bound.left === null ? seq : minSeq(bound.left, seq);
    if (taken === 'full') bound.full += 1;
  }

  raise(
    floors: Floors,
    slots: readonly number[],
    read: { readonly full: boolean; readonly mark: FloorMark; readonly xmin: string },
  ): void {
    const proven = floors.proven(read.xmin);
    if (proven === null) return;
    for (const slot of slots) {
      const bound = this.#bounds.get(slot);
      // A floor does not rise above rows that a read which was cut off by its limit may have left out.
      if (bound === undefined && !read.full) continue;
      let to = proven;
      if (bound !== undefined) {
        if (!read.full || bound.count >= this.#perSlot) to = minSeq(to, bound.last);
        if (bound.left !== null) to = minSeq(to, seqBefore(bound.left));
      }
      floors.raise(slot, to, read.mark);
    }
  }
}
