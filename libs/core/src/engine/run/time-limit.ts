import type { Clock } from '../../ports/index.js';
import type { Timers } from './timers.js';

/** The time limit of an attempt. It runs while the attempt's method does, and not while that waits. */
export class TimeLimit {
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #limitMs: number | null;
  readonly #over: () => void;
  #leftMs: number;
  /** Since when it has been running. */
  #since = 0;
  #stop: (() => void) | null = null;

  /** @param limitMs null: none */
  constructor(timers: Timers, clock: Clock, limitMs: number | null, over: () => void) {
    this.#timers = timers;
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#leftMs = limitMs ?? 0;
    this.#over = over;
  }

  run(): void {
    if (this.#limitMs === null || this.#stop !== null) return;
    this.#since = this.#clock.now();
    this.#stop = this.#timers.set(this.#leftMs, this.#over);
  }

  /** What has not run yet is left for the next {@link run}. */
  pause(): void {
    if (this.#stop === null) return;
    this.#stop();
    this.#stop = null;
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.now() - this.#since));
  }

  /** The method came to its end; should it run once more, it has all its time again. */
  renew(): void {
    this.pause();
    this.#leftMs = this.#limitMs ?? 0;
  }
}
