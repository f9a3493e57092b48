import type { QueuedMessage, SlotQueueStore } from '../../ports/index.js';
import type { CrashBlame } from './crash-blame.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook } from './key-book.js';

/** So many suspicious slots are looked at in one read. */
const AT_ONCE = 32;

/**
 * The one message of suspicious slots that this process works on, if there is one: a message that kills
 * its process is found because no other suspect is worked on beside it.
 */
export class CrashSuspect {
  readonly #store: SlotQueueStore;
  readonly #incarnation: string;
  readonly #book: KeyBook;
  readonly #blame: CrashBlame;
  readonly #holds: (lease: HeldLease) => boolean;
  #seq: string | null = null;
  /** Its number is being noted: it is not among the rows in hand yet. */
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
   * Which of the suspicious slots are looked at next, each in its turn: many at once, so that all that are
   * empty are trusted again together.
   */
  next(suspicious: readonly number[]): readonly number[] {
    const slots = [...suspicious].sort((a, b) => a - b);
    const first = slots.findIndex((slot) => slot > this.#lastSlot);
    if (first > 0) slots.push(...slots.splice(0, first));
    const next = slots.slice(0, AT_ONCE);
    this.#lastSlot = next.at(-1) ?? -1;
    return next;
  }

  /** Notes the number of a message in the store; whether the message may be worked on then. */
  async enter(row: QueuedMessage, lease: HeldLease): Promise<boolean> {
    const { seq } = row;
    if (this.#seq !== null || this.#book.rows.has(seq) || this.#blame.counts(row)) return false;
    this.#seq = seq;
    this.#entering = true;
    this.#lastSlot = row.slot;
    let held = false;
    try {
      await this.#store.noteSuspect(this.#incarnation, lease, seq);
      // The slot may have been lost while the number was on its way.
      held = this.#holds(lease);
    } finally {
      this.#entering = false;
      if (!held) this.#seq = null;
    }
    return held;
  }

  /** The message has ended; whether it was the suspect. */
  leave(seq: string): boolean {
    if (this.#seq !== seq) return false;
    this.#seq = null;
    return true;
  }

  /**
   * Frees the place of a suspect that was dropped with its slot before it was begun, or that is overdue:
   * neither ends soon, and the others would wait for it. Returns whether the place became free.
   */
  sweep(): boolean {
    if (this.#seq === null || this.#entering) return false;
    const taken = this.#book.rows.get(this.#seq);
    if (taken !== undefined && !taken.overdue) return false;
    this.#seq = null;
    return true;
  }
}
