import type { Clock, Timer } from '../../ports/index.js';

export interface RetryLaneOptions<Item> {
  readonly clock: Clock;
  /** How many runs of `work` may be under way at once. */
  readonly lanes: number;
  /** How many items one run takes at most. */
  readonly group: number;
  /** Does the items of one run. Never rejects; items that must be repeated are added again. */
  readonly work: (items: readonly Item[]) => Promise<void>;
}

interface Delayed<Item> {
  readonly item: Item;
  readonly at: number;
}

/**
 * Repeats items after a pause, in a bounded number of runs at once. Items in trouble are thereby kept
 * apart from others, and a thousand of them put no more load on the store at a time than one.
 */
export class RetryLane<Item> {
  readonly #options: RetryLaneOptions<Item>;
  #delayed: Delayed<Item>[] = [];
  #running = 0;
  #timer: Timer | null = null;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(options: RetryLaneOptions<Item>) {
    this.#options = options;
  }

  get size(): number {
    return this.#delayed.length + this.#running;
  }

  add(item: Item, pauseMs: number): void {
    const at = this.#options.clock.now() + pauseMs;
    this.#delayed.push({ item, at });
    if (this.#running < this.#options.lanes) this.#arm(at);
  }

  /** Removes and returns all waiting items. No run begins until an item is added again. */
  clear(): Item[] {
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerAt = Number.POSITIVE_INFINITY;
    return this.#delayed.splice(0).map(({ item }) => item);
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    const { clock } = this.#options;
    this.#timer = clock.after(at - clock.now(), () => {
      this.#timer = null;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#begin();
    });
  }

  #begin(): void {
    const { lanes, work } = this.#options;
    while (this.#running < lanes) {
      const due = this.#takeDue();
      if (due.length === 0) break;
      this.#running += 1;
      void work(due).finally(() => {
        this.#running -= 1;
        this.#begin();
      });
    }
    if (this.#running >= lanes) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#delayed) next = Math.min(next, at);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }

  /** Removes and returns the items that are due, in the order in which they were added. */
  #takeDue(): Item[] {
    const now = this.#options.clock.now();
    const due: Item[] = [];
    const later: Delayed<Item>[] = [];
    for (const one of this.#delayed) {
      if (one.at <= now && due.length < this.#options.group) due.push(one.item);
      else later.push(one);
    }
    this.#delayed = later;
    return due;
  }
}
