/** What a {@link SlotConsumer} tells metrics. Called in the hot path: cheap, and never throwing. */
export interface SlotObserver {
  /** How many slots are held now. */
  leases?(count: number): void;
  /** A row is done and removed; `ageMs` since it was written, by the store's clock, when it was read. */
  removed?(ageMs: number): void;
  /** The store failed; nothing is lost, it is tried again. */
  storeFailed?(error: unknown): void;
}
