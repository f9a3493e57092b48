import type { Clock, Logger, SagaStore } from '@sagaz/core';
import { EveryMinute } from '../lifecycle/index.js';

/**
 * Mail without a saga is dropped after this time. It may come before the transaction that starts its
 * saga commits, but never a day before.
 */
const ORPHAN_AGE_MS = 86_400_000;

/** Drops, once a minute, mail that no saga will ever read. */
export class SagaTidying extends EveryMinute {
  constructor(sagas: Pick<SagaStore, 'dropDeadMail'>, clock: Clock, logger: Logger) {
    super(clock, logger, 'Dead mail could not be dropped', async () => {
      const dropped = await sagas.dropDeadMail(ORPHAN_AGE_MS);
      if (dropped > 0) logger.debug('Mail was dropped that no saga will read.', { dropped });
    });
  }
}
