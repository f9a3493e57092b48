import type { Clock, Timer } from '../../ports/index.js';
import type { RepeatedFailure } from '../../retry/index.js';
import type { EngineTroubles } from '../engine-troubles.js';

/** Repeats small tasks at intervals. A failed round is logged and tried again at its next time. */
export class Upkeep {
  readonly #clock: Clock;
  readonly #troubles: EngineTroubles;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(clock: Clock, troubles: EngineTroubles) {
    this.#clock = clock;
    this.#troubles = troubles;
  }

  get closed(): boolean {
    return this.#closed;
  }

  every(ms: number, what: string, work: () => Promise<unknown>): void {
    this.#every(ms, this.#troubles.use(what, ms, ms), work);
  }

  #every(ms: number, failure: RepeatedFailure, work: () => Promise<unknown>): void {
    if (this.#closed) return;
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      work()
        .then(
          () => failure.worked(),
          (error: unknown) => failure.failed(error),
        )
        .finally(() => this.#every(ms, failure, work));
    });
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
  }
}
