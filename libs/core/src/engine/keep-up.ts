import type { SagaStore } from '../ports/index.js';
import type { StoreTime, Upkeep } from './ownership/index.js';

/**
 * How often the offset to the store's clock is measured, since a failover or a correction changes it.
 */
const TIME_CHECK_MS = 30_000;
const DEAD_MAIL_CHECK_MS = 300_000;
/**
 * The age from which mail without a saga is dropped. A reply can come before the transaction that
 * starts its saga commits, but not a day before.
 */
const ORPHAN_MAIL_MS = 86_400_000;

/** Registers the small tasks that an engine repeats at intervals. */
export function keepUp(
  upkeep: Upkeep,
  time: StoreTime,
  sagas: Pick<SagaStore, 'dropDeadMail'>,
): void {
  upkeep.every(TIME_CHECK_MS, "Asking for the store's time", () => time.measure());
  upkeep.every(DEAD_MAIL_CHECK_MS, 'Dropping mail of ended sagas', () =>
    sagas.dropDeadMail(ORPHAN_MAIL_MS),
  );
}
