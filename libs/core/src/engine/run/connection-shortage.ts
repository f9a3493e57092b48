import type { Timers } from './timers.js';
import type { ConcurrencyPermits } from './concurrency-permits.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Holds back transactional steps for a moment when one of them got no connection in time. Otherwise
 * their starts would be journaled while they wait, and would count as crashes if the process died,
 * although the steps had never run.
 */
export class ConnectionShortage {
  readonly #permits: ConcurrencyPermits;
  readonly #timers: Timers;
  #misses = 0;
  #stop: (() => void) | null = null;

  constructor(permits: ConcurrencyPermits, timers: Timers) {
    this.#permits = permits;
    this.#timers = timers;
  }

  /** A step got no connection in time. */
  missed(): void {
    if (this.#stop !== null) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.#misses, 16), LONGEST_PAUSE_MS);
    this.#misses += 1;
    this.#permits.closeTransactional();
    this.#stop = this.#timers.set(pauseMs, () => this.#open());
  }

  /** A step got a connection. */
  got(): void {
    this.#misses = 0;
    this.#open();
  }

  #open(): void {
    if (this.#stop === null) return;
    this.#stop();
    this.#stop = null;
    this.#permits.openTransactional();
  }
}
