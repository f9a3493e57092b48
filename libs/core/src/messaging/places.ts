import type { Clock } from '../ports/index.js';

/** After this time without a free place a consumer is not ready; in milliseconds. */
const FULL_FOR_MS = 60_000;

/** Bounds how many messages are handled at once, and measures for how long no place has been free. */
export class Places {
  readonly #clock: Clock;
  readonly #size: number;
  #taken = 0;
  #fullSince: number | null = null;

  constructor(clock: Clock, size: number) {
    this.#clock = clock;
    this.#size = size;
  }

  get free(): number {
    return this.#size - this.#taken;
  }

  get taken(): number {
    return this.#taken;
  }

  take(): void {
    this.#taken += 1;
    if (this.free <= 0) this.#fullSince ??= this.#clock.now();
  }

  release(): void {
    this.#taken -= 1;
    if (this.free > 0) this.#fullSince = null;
  }

  /** The problem in words, for health; null while a place is free, or was within the last minute. */
  problem(name: string): string | null {
    if (this.#fullSince === null) return null;
    const ms = this.#clock.now() - this.#fullSince;
    if (ms < FULL_FOR_MS) return null;
    return `No place of ${name} has been free for ${Math.round(ms / 1_000)} s: all ${this.#size} handlers are still at work, and what waits is not begun. Look for handlers that hang; a time limit (timeout) ends them, more places (concurrency) help against slow ones.`;
  }
}
