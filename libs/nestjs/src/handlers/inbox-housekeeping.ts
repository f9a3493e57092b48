import type { Clock, InboxStore, Logger } from '@sagaz/core';
import { EveryMinute } from '../lifecycle/index.js';

const BATCH = 1_000;

/** Removes, once a minute, the inbox rows of messages that were handled long ago. */
export class InboxHousekeeping extends EveryMinute {
  constructor(inbox: InboxStore, clock: Clock, logger: Logger, keepDoneMs: number) {
    super(clock, logger, 'Old inbox rows could not be removed', async (stopped) => {
      while (!stopped() && (await inbox.prune(keepDoneMs, BATCH)) >= BATCH);
    });
  }
}
