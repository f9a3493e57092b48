import type { Clock } from '../../ports/index.js';
import type { Timers } from './timers.js';

/**
 * The time limit of an attempt. It runs while the attempt's method runs, and not while the attempt
 * waits.
 */
export class TimeLimit {
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #limitMs: number | null;
  readonly #over: () => void;
  #leftMs: number;
  /** When it began to run, by the clock of the host. */
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

  /** Stops the limit; the rest of its time is left for the next {@link run}. */
  pause(): void {
    if (this.#stop === null) return;
    this.#stop();
    this.#stop = null;
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.now() - this.#since));
  }

  /** The method has returned. If it runs once more, it has its full time again. */
  renew(): void {
    this.pause();
    this.#leftMs = this.#limitMs ?? 0;
  }
}
