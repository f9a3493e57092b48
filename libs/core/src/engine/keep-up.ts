import { FORMAT, type SagaRetention, type SagaStore } from '../ports/index.js';
import type { StoreTime, Upkeep } from './ownership/index.js';

/**
 * How often the offset to the store's clock is measured, since a failover or a correction changes it.
 */
const TIME_CHECK_MS = 30_000;
/** How often one engine removes what is old, and tidies the mail, for all of them. */
const SHARED_MS = 60_000;
/** A turn ends before the next one is due, also where the timers of the engines drift. */
const TURN_MS = 0.9 * SHARED_MS;
/**
 * The age from which mail without a saga is dropped. A reply can come before the transaction that
 * starts its saga commits, but not a day before.
 */
const ORPHAN_MAIL_MS = 86_400_000;
/** The sagas that one statement removes: it holds few locks, and for a short time. */
const BATCH = 500;
/** The most batches of a turn, so that a turn ends before the next one. */
const MOST_BATCHES = 100;
/** The most pages of mail of a turn, for the same reason. */
const MOST_PAGES = 20;

/** Registers the small tasks that an engine repeats at intervals. */
export function keepUp(
  upkeep: Upkeep,
  time: StoreTime,
  sagas: Pick<SagaStore, 'dropDeadMail' | 'removeOld' | 'takeTurn'>,
  retention: SagaRetention,
): void {
  upkeep.every(TIME_CHECK_MS, "Asking for the store's time", () => time.measure());
  upkeep.every(SHARED_MS, 'Dropping mail of ended sagas', async () => {
    if (!(await sagas.takeTurn('mail', TURN_MS))) return;
    for (let page = 0; page < MOST_PAGES && !upkeep.closed; page += 1) {
      if (!(await sagas.dropDeadMail(ORPHAN_MAIL_MS, FORMAT)).more) return;
    }
  });
  upkeep.every(SHARED_MS, 'Removing old sagas', async () => {
    if (!(await sagas.takeTurn('retention', TURN_MS))) return;
    for (let batch = 0; batch < MOST_BATCHES && !upkeep.closed; batch += 1) {
      if (!(await sagas.removeOld(retention, BATCH)).more) return;
    }
  });
}
