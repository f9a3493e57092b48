import type { Clock, Timer } from '../../ports/index.js';

interface Scheduled {
  readonly at: number;
  readonly callback: () => void;
  /** Its place in the heap; -1: it has rung, or was turned off. */
  place: number;
}

/**
 * Alarms of all sagas of a process on one timer: ten thousand sagas in a short delay cost a heap, not
 * ten thousand timers. An alarm that is turned off leaves the heap at once, because what it would
 * ring for (a saga with all its results) stays in memory for as long as the alarm does.
 */
export class Timers {
  readonly #clock: Clock;
  readonly #heap: Scheduled[] = [];
  #timer: Timer | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are set. */
  get size(): number {
    return this.#heap.length;
  }

  /** Rings once in `ms` milliseconds; the answer turns it off. */
  set(ms: number, callback: () => void): () => void {
    const scheduled: Scheduled = { at: this.#clock.now() + Math.max(0, ms), callback, place: -1 };
    if (!this.#closed) {
      this.#rise(scheduled, this.#heap.length);
      this.#arm();
    }
    return () => this.#remove(scheduled);
  }

  /** No alarm rings any more, also none that is set afterwards. */
  close(): void {
    this.#closed = true;
    for (const scheduled of this.#heap.splice(0)) scheduled.place = -1;
    this.#timer?.cancel();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = first.at;
    this.#timer = this.#clock.after(Math.ceil(first.at - this.#clock.now()), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#callDue();
      this.#arm();
    });
  }

  #callDue(): void {
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#remove(first);
      first.callback();
    }
  }

  #remove(scheduled: Scheduled): void {
    const { place } = scheduled;
    if (place < 0) return;
    scheduled.place = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === scheduled) return;
    // The last one takes its place, and belongs above or below it.
    this.#rise(last, place);
    this.#sink(last, last.place);
  }

  /** Puts it at this place, or above. */
  #rise(scheduled: Scheduled, from: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= scheduled.at) break;
      this.#put(above, at);
      at = parent;
    }
    this.#put(scheduled, at);
  }

  /** Puts it at this place, or below. */
  #sink(scheduled: Scheduled, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const a = heap[left];
      const b = heap[left + 1];
      if (a === undefined) break;
      const smaller = b !== undefined && b.at < a.at ? b : a;
      if (smaller.at >= scheduled.at) break;
      const next = smaller.place;
      this.#put(smaller, at);
      at = next;
    }
    this.#put(scheduled, at);
  }

  #put(scheduled: Scheduled, at: number): void {
    this.#heap[at] = scheduled;
    scheduled.place = at;
  }
}
