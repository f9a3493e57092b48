import type { Clock } from '../ports/index.js';

/** From then on a consumer whose places are all taken says that it is not ready. */
const FULL_FOR_MS = 60_000;

/** How many messages are handled at once, and for how long no place has been free. */
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

  /** Null while there is a free place, or was one within the last minute; else what is wrong. */
  problem(name: string): string | null {
    if (this.#fullSince === null) return null;
    const ms = this.#clock.now() - this.#fullSince;
    if (ms < FULL_FOR_MS) return null;
    return `No place of ${name} has been free for ${Math.round(ms / 1_000)} s: all ${this.#size} handlers are still at work, and what waits is not begun. Look for handlers that hang; a time limit (timeout) ends them, more places (concurrency) help against slow ones.`;
  }
}
