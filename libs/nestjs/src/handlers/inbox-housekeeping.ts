import type { Clock, InboxStore, Logger, Timer } from '@sagaz/core';

const INTERVAL_MS = 60_000;
const BATCH = 1_000;

/** Forgets, once a minute, messages that were handled long ago. */
export class InboxHousekeeping {
  #timer: Timer | null = null;
  #stopped = false;

  constructor(
    private readonly inbox: InboxStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly keepDoneMs: number,
  ) {}

  start(): void {
    this.#timer = this.clock.after(INTERVAL_MS, () => void this.#tidy());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #tidy(): Promise<void> {
    try {
      while (!this.#stopped && (await this.inbox.prune(this.keepDoneMs, BATCH)) >= BATCH);
    } catch (error) {
      this.logger.warn('Old inbox rows could not be removed; it is tried again in a minute.', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
    if (!this.#stopped) this.start();
  }
}
