import type { Room } from '../decide/index.js';

export interface Place {
  readonly transactional: boolean;
  readonly suspect: boolean;
}

/** Somebody who could start a step had there been room. */
export interface Waiter {
  poke(): void;
}

/**
 * The places for running steps of this process. A start is journaled only with a place taken, since
 * a start in the journal counts as a crash when the process dies.
 */
export class Places {
  #steps: number;
  #transactional: number;
  #suspects = 1;
  readonly #total: number;
  /** First come, first served; a saga stands here once. */
  readonly #waiting = new Set<Waiter>();

  constructor(steps: number, transactional: number) {
    this.#total = steps;
    this.#steps = steps;
    this.#transactional = transactional;
  }

  /** What is free, for a decision to count down. Those who wait come first. */
  room(asking: Waiter): Room {
    for (const first of this.#waiting) {
      if (first === asking) break;
      if (this.#steps > this.#waiting.size) break;
      return { steps: 0, transactional: 0, suspects: 0 };
    }
    return { steps: this.#steps, transactional: this.#transactional, suspects: this.#suspects };
  }

  take(place: Place): void {
    this.#steps -= 1;
    if (place.transactional) this.#transactional -= 1;
    if (place.suspect) this.#suspects -= 1;
  }

  free(place: Place): void {
    this.#steps += 1;
    if (place.transactional) this.#transactional += 1;
    if (place.suspect) this.#suspects += 1;
    this.#next();
  }

  wait(waiter: Waiter): void {
    this.#waiting.add(waiter);
  }

  leave(waiter: Waiter): void {
    if (this.#waiting.delete(waiter) && this.#steps > 0) this.#next();
  }

  get running(): number {
    return this.#total - this.#steps;
  }

  /** Asks whoever waits longest; one that needs another kind of place must not stop those behind. */
  #next(): void {
    let asked = 0;
    for (const waiter of this.#waiting) {
      if (asked >= this.#steps) return;
      asked += 1;
      waiter.poke();
    }
  }
}
