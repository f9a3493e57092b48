import type { Clock } from '../../ports/index.js';

/** The least time between two reads past busy keys, in milliseconds. */
const PAUSE_MS = 50;
/** A read past busy keys is followed by a pause of this many times its own duration. */
const PAUSE_TIMES = 10;

/**
 * The slots in which a busy key hides others: the next rows in the store all belong to keys of which so
 * many wait in memory that no more are taken. A read past these keys looks at their rows one after the
 * other, so one slot is read at a time, and no more than a tenth of the time is spent on it.
 */
export class CrowdedSlots {
  readonly #clock: Clock;
  /** In the order in which they were noted. */
  readonly #slots = new Set<number>();
  #notBefore = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes what a read showed of a slot. */
  note(slot: number, crowded: boolean): void {
    if (crowded) this.#slots.add(slot);
    else this.#slots.delete(slot);
  }

  /** Takes the slot whose turn it is, if it is time; only those that may be read are considered. */
  next(mayRead: (slot: number) => boolean): number | null {
    if (this.#slots.size === 0 || this.#clock.now() < this.#notBefore) return null;
    for (const slot of this.#slots) {
      if (!mayRead(slot)) continue;
      this.#slots.delete(slot);
      return slot;
    }
    return null;
  }

  /** A read past busy keys has ended, which began at this time. */
  read(beganAt: number): void {
    const now = this.#clock.now();
    this.#notBefore = now + Math.max(PAUSE_MS, PAUSE_TIMES * (now - beganAt));
  }
}
