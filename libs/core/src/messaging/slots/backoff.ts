import type { Clock, Timer } from '../../ports/index.js';

/** Growing pauses with jitter between attempts that fail. */
export class Backoff {
  readonly #clock: Clock;
  readonly #firstMs: number;
  readonly #maxMs: number;
  #failures = 0;
  #stopped = false;
  #timer: Timer | undefined;
  #resume: (() => void) | undefined;

  constructor(clock: Clock, firstMs: number, maxMs: number) {
    this.#clock = clock;
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  get failures(): number {
    return this.#failures;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Forgets the failures, because an attempt succeeded: the next pause is the shortest again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Counts a failure; how long to pause after it. */
  next(): number {
    const full = Math.min(this.#firstMs * 2 ** this.#failures, this.#maxMs);
    this.#failures += 1;
    // Half fixed, half random: processes that failed together do not come back together.
    return full / 2 + (Math.random() * full) / 2;
  }

  /** Counts a failure and pauses; ends early when stopped. */
  wait(): Promise<void> {
    const ms = this.next();
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#timer = this.#clock.after(ms, resolve);
    });
  }

  /** Ends a pause that is under way, and every later one, at once. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#resume?.();
  }
}
