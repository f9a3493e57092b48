import type { QueuedMessage, SlotQueueStore } from '../../ports/index.js';
import type { CrashBlame } from './crash-blame.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook } from './key-book.js';

/** How many suspicious slots are looked at in one read. */
const AT_ONCE = 32;

/**
 * The one message of suspicious slots that this process works on, if there is one. No other suspect is
 * worked on beside it, so a message that kills its process can be identified.
 */
export class CrashSuspect {
  readonly #store: SlotQueueStore;
  readonly #incarnation: string;
  readonly #book: KeyBook;
  readonly #blame: CrashBlame;
  readonly #holds: (lease: HeldLease) => boolean;
  #seq: string | null = null;
  /** The number of a suspect while it is being noted, when it is not among the rows in work yet. */
  #entering = false;
  /** The slot of the last suspect, or the last one that was looked at. */
  #lastSlot = -1;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly incarnation: string;
    readonly book: KeyBook;
    readonly blame: CrashBlame;
    readonly holds: (lease: HeldLease) => boolean;
  }) {
    this.#store = options.store;
    this.#incarnation = options.incarnation;
    this.#book = options.book;
    this.#blame = options.blame;
    this.#holds = options.holds;
  }

  /** Whether a message of a suspicious slot may be begun. */
  get free(): boolean {
    return this.#seq === null;
  }

  /**
   * The suspicious slots to look at next, each in its turn. There are many, so that all empty ones are
   * trusted again together.
   */
  next(suspicious: readonly number[]): readonly number[] {
    const slots = [...suspicious].sort((a, b) => a - b);
    const first = slots.findIndex((slot) => slot > this.#lastSlot);
    if (first > 0) slots.push(...slots.splice(0, first));
    const next = slots.slice(0, AT_ONCE);
    this.#lastSlot = next.at(-1) ?? -1;
    return next;
  }

  /** Notes the number of a message in the store. Returns whether the message may then be worked on. */
  async enter(row: QueuedMessage, lease: HeldLease): Promise<boolean> {
    const { seq } = row;
    if (this.#seq !== null || this.#book.rows.has(seq) || this.#blame.counts(row)) return false;
    this.#seq = seq;
    this.#entering = true;
    this.#lastSlot = row.slot;
    let held = false;
    try {
      const noted = await this.#store.noteSuspect(this.#incarnation, lease, seq);
      // The lease may have been lost while the number was written.
      held = noted && this.#holds(lease);
    } finally {
      this.#entering = false;
      if (!held) this.#seq = null;
    }
    return held;
  }

  /** The message has ended. Returns whether it was the suspect. */
  leave(seq: string): boolean {
    if (this.#seq !== seq) return false;
    this.#seq = null;
    return true;
  }

  /**
   * Ends the wait for a suspect that was dropped with its slot before it was begun, or that is
   * overdue, because such a suspect does not end soon. Returns whether another one may be begun.
   */
  sweep(): boolean {
    if (this.#seq === null || this.#entering) return false;
    const taken = this.#book.rows.get(this.#seq);
    if (taken !== undefined && !taken.overdue) return false;
    this.#seq = null;
    return true;
  }
}
