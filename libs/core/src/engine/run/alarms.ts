import type { Clock, Timer } from '../../ports/index.js';

interface Alarm {
  readonly at: number;
  readonly ring: () => void;
  off: boolean;
}

/**
 * Alarms of all sagas of a process on one timer: ten thousand sagas in a short delay cost a heap, not
 * ten thousand timers.
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

  /** Rings once in `ms` milliseconds; the answer turns it off. */
  set(ms: number, ring: () => void): () => void {
    const alarm: Alarm = { at: this.#clock.now() + Math.max(0, ms), ring, off: false };
    if (!this.#closed) {
      this.#push(alarm);
      this.#arm();
    }
    return () => {
      alarm.off = true;
    };
  }

  /** No alarm rings any more, also none that is set afterwards. */
  close(): void {
    this.#closed = true;
    this.#heap.length = 0;
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
      this.#pop();
      if (!first.off) first.ring();
    }
  }

  #push(alarm: Alarm): void {
    const heap = this.#heap;
    let at = heap.push(alarm) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= alarm.at) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = alarm;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      let child = left;
      const a = heap[left];
      if (a === undefined) break;
      let smaller = a;
      const b = heap[left + 1];
      if (b !== undefined && b.at < a.at) {
        child = left + 1;
        smaller = b;
      }
      if (smaller.at >= last.at) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}
