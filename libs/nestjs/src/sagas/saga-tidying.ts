import type { Clock, Logger, SagaStore, Timer } from '@sagaz/core';

const INTERVAL_MS = 60_000;
/** Mail may come before the transaction that starts its saga commits; a day is beyond any doubt. */
const ORPHAN_AGE_MS = 86_400_000;

/** Drops, once a minute, mail that no saga will ever read. */
export class SagaTidying {
  #timer: Timer | null = null;
  #stopped = false;

  constructor(
    private readonly sagas: Pick<SagaStore, 'dropDeadMail'>,
    private readonly clock: Clock,
    private readonly logger: Logger,
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
      const dropped = await this.sagas.dropDeadMail(ORPHAN_AGE_MS);
      if (dropped > 0) this.logger.debug('Mail was dropped that no saga will read.', { dropped });
    } catch (error) {
      this.logger.warn('Dead mail could not be dropped; it is tried again in a minute.', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
    if (!this.#stopped) this.start();
  }
}
