import type { Clock, Logger } from '../../ports/index.js';

const EVERY_MS = 60_000;

/**
 * Logs errors of code of the user that may fail at every attempt of every saga and must not fill the log:
 * one line a minute at most, with how often it has failed since the line before.
 */
export class SeldomLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  #failures = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  error(message: string, error?: unknown): void {
    const now = this.#clock.now();
    this.#failures += 1;
    if (now - this.#saidAt < EVERY_MS) return;
    this.#logger.error(message, { failures: this.#failures }, error);
    this.#saidAt = now;
    this.#failures = 0;
  }
}
