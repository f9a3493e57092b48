import type { SagaStore } from '../ports/index.js';
import type { StoreTime, UnservedWatch, Upkeep } from './ownership/index.js';

/** The distance to the store's clock changes with its host: a failover, a correction. */
const TIME_CHECK_MS = 30_000;
const DEAD_MAIL_CHECK_MS = 300_000;
/** A reply can be faster than the transaction that starts its saga, but not by so much. */
const ORPHAN_MAIL_MS = 86_400_000;

/** The small things that an engine does now and then. */
export function keepUp(
  upkeep: Upkeep,
  time: StoreTime,
  unserved: UnservedWatch,
  unservedCheckMs: number,
  sagas: Pick<SagaStore, 'dropDeadMail'>,
): void {
  upkeep.every(TIME_CHECK_MS, "Asking for the store's time", () => time.measure());
  upkeep.every(unservedCheckMs, 'Looking for sagas that nobody runs', () => unserved.look());
  upkeep.every(DEAD_MAIL_CHECK_MS, 'Dropping mail of ended sagas', () =>
    sagas.dropDeadMail(ORPHAN_MAIL_MS),
  );
}
