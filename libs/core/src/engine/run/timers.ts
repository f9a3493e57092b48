import type { Clock, Timer } from '../../ports/index.js';

interface Scheduled {
  readonly at: number;
  readonly callback: () => void;
  /** Its place in the heap; -1: it was called, or cancelled. */
  place: number;
}

/**
 * The timers of all sagas of a process, in a heap on one timer of the host, because ten thousand sagas
 * in a short delay must not cost ten thousand of those. A cancelled timer leaves the heap at once,
 * because its callback keeps a saga with all its results in memory.
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

  /** How many timers are set. */
  get size(): number {
    return this.#heap.length;
  }

  /** Calls `callback` once, in `ms` milliseconds. The returned function cancels that. */
  set(ms: number, callback: () => void): () => void {
    const scheduled: Scheduled = { at: this.#clock.now() + Math.max(0, ms), callback, place: -1 };
    if (!this.#closed) {
      this.#rise(scheduled, this.#heap.length);
      this.#arm();
    }
    return () => this.#remove(scheduled);
  }

  /** Cancels all timers; timers that are set afterwards are never called. */
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
    // The last one of the heap fills its place, and then moves up or down to where it belongs.
    this.#rise(last, place);
    this.#sink(last, last.place);
  }

  /** Puts it at this place, or moves it up from there. */
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

  /** Puts it at this place, or moves it down from there. */
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
