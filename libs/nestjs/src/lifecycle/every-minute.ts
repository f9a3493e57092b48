import { errorText } from '@sagaz/core';
import type { Clock, Logger, Timer } from '@sagaz/core';

const INTERVAL_MS = 60_000;

/** Does a small task once a minute. A failure is logged, and the task is tried again a minute later. */
export class EveryMinute {
  #timer: Timer | null = null;
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly logger: Logger,
    /** The beginning of the log line about a failure: `Old inbox rows could not be removed`. */
    private readonly failure: string,
    /** Does one round. A long round checks `stopped` between its parts. */
    private readonly work: (stopped: () => boolean) => Promise<void>,
  ) {}

  start(): void {
    this.#timer = this.clock.after(INTERVAL_MS, () => void this.#round());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #round(): Promise<void> {
    try {
      await this.work(() => this.#stopped);
    } catch (error) {
      this.logger.warn(`${this.failure}; it is tried again in a minute.`, {
        error: errorText(error),
      });
    }
    if (!this.#stopped) this.start();
  }
}
