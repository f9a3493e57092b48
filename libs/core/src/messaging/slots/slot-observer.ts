/**
 * Receives the events of a {@link SlotConsumer}, for metrics. The methods are called for every row, so
 * they must be cheap, and must not throw.
 */
export interface SlotObserver {
  /** How many slots are held now. */
  leases?(count: number): void;
  /** A row is done and removed; `ageMs` since it was written, by the store's clock, when it was read. */
  removed?(ageMs: number): void;
  /** The store failed; nothing is lost, it is tried again. */
  storeFailed?(error: unknown): void;
}
