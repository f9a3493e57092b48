import { errorText } from '../../errors/index.js';
import type { Clock, Logger, Timer } from '../../ports/index.js';

/** Small things done now and then. A failed round is logged and tried again in time. */
export class Upkeep {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  every(ms: number, what: string, work: () => Promise<unknown>): void {
    if (this.#closed) return;
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      work()
        .catch((error: unknown) => {
          this.#logger.warn(`${what} failed; it is tried again later.`, {
            error: errorText(error),
          });
        })
        .finally(() => this.every(ms, what, work));
    });
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
  }
}
