import type { FinalStatus } from './saga-store.js';

/**
 * How long sagas are kept after their end, by the status in which they ended, and idempotency keys after
 * the start that they belong to, in milliseconds; null: for ever. A saga that needs a person has not ended,
 * and is kept.
 */
export interface SagaRetention extends Readonly<Record<FinalStatus, number | null>> {
  readonly keys: number | null;
}

const DAY_MS = 86_400_000;

/**
 * Sagas that ended as they should are kept for 30 days. Those committed in part are kept for 90, since people
 * ask for it later, and so are keys: a start that is repeated within that time finds its saga.
 */
export const DEFAULT_RETENTION: SagaRetention = Object.freeze({
  completed: 30 * DAY_MS,
  compensated: 30 * DAY_MS,
  terminated: 30 * DAY_MS,
  partially_committed: 90 * DAY_MS,
  keys: 90 * DAY_MS,
});

/** A task that one process does for all: removing what is old, tidying the mail, or counting for metrics. */
export type SharedTask = 'retention' | 'mail' | 'counts';

/** The numbers of sagas and keys that were removed because of their age. */
export interface RemovedSagas {
  readonly sagas: number;
  readonly keys: number;
  /** Whether the limit was reached, so that there may be more. */
  readonly more: boolean;
}
