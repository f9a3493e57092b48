import type { LandingBacklog } from './landing-groups.js';
import type { SagaStatus } from './saga-store.js';
import type { QueuedStatus } from './slot-queue.js';

/** The numbers of what lies in a store, for metrics. */
export interface StoreCounts {
  /** Sagas that have not ended, by status. */
  readonly sagas: ReadonlyMap<SagaStatus, number>;
  readonly outbox: ReadonlyMap<QueuedStatus, number>;
  /** How long the oldest message that may be published has been in the outbox, in milliseconds; null: none is. */
  readonly oldestPendingMs: number | null;
  /** Dead letters of consumers. */
  readonly deadLetters: number;
  /** What waits in the landing queue of each group. */
  readonly landings: readonly LandingBacklog[];
}

/** Counts that a process has made for all. */
export interface KeptCounts extends StoreCounts {
  /** How long ago they were made, in milliseconds by the store's clock. */
  readonly ageMs: number;
}
