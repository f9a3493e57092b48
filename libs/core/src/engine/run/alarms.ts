import type { Clock, Timer } from '../../ports/index.js';

interface Alarm {
  readonly at: number;
  readonly ring: () => void;
  /** Its place in the heap; -1: it has rung, or was turned off. */
  place: number;
}

/**
 * Alarms of all sagas of a process on one timer: ten thousand sagas in a short delay cost a heap, not
 * ten thousand timers. An alarm that is turned off leaves the heap at once, because what it would
 * ring for (a saga with all its results) stays in memory for as long as the alarm does.
 */
export class Alarms {
  readonly #clock: Clock;
  readonly #heap: Alarm[] = [];
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
  set(ms: number, ring: () => void): () => void {
    const alarm: Alarm = { at: this.#clock.now() + Math.max(0, ms), ring, place: -1 };
    if (!this.#closed) {
      this.#rise(alarm, this.#heap.length);
      this.#arm();
    }
    return () => this.#remove(alarm);
  }

  /** No alarm rings any more, also none that is set afterwards. */
  close(): void {
    this.#closed = true;
    for (const alarm of this.#heap.splice(0)) alarm.place = -1;
    this.#timer?.cancel();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = first.at;
    this.#timer = this.#clock.after(Math.ceil(first.at - this.#clock.now()), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#ringDue();
      this.#arm();
    });
  }

  #ringDue(): void {
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#remove(first);
      first.ring();
    }
  }

  #remove(alarm: Alarm): void {
    const { place } = alarm;
    if (place < 0) return;
    alarm.place = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === alarm) return;
    // The last one takes its place, and belongs above or below it.
    this.#rise(last, place);
    this.#sink(last, last.place);
  }

  /** Puts it at this place, or above. */
  #rise(alarm: Alarm, from: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= alarm.at) break;
      this.#put(above, at);
      at = parent;
    }
    this.#put(alarm, at);
  }

  /** Puts it at this place, or below. */
  #sink(alarm: Alarm, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const a = heap[left];
      const b = heap[left + 1];
      if (a === undefined) break;
      const smaller = b !== undefined && b.at < a.at ? b : a;
      if (smaller.at >= alarm.at) break;
      const next = smaller.place;
      this.#put(smaller, at);
      at = next;
    }
    this.#put(alarm, at);
  }

  #put(alarm: Alarm, at: number): void {
    this.#heap[at] = alarm;
    alarm.place = at;
  }
}
