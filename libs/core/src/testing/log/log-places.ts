import { Places } from '../../messaging/index.js';
import type { Clock } from '../../ports/index.js';

/** Bounds how many messages of all partitions of a subscription are handled at once. */
export class LogPlaces {
  readonly #places: Places;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock, concurrency: number) {
    this.#places = new Places(clock, concurrency);
  }

  /** Waits for a place, and takes it. */
  async take(): Promise<void> {
    if (this.#places.free <= 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#places.take();
  }

  release(): void {
    const next = this.#waiting.shift();
    // The place goes to who waits longest.
    if (next === undefined) this.#places.release();
    else next();
  }

  problem(name: string): string | null {
    return this.#places.problem(name);
  }
}
