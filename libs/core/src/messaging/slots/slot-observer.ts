/** What a {@link SlotConsumer} tells metrics. Called in the hot path: cheap, and never throwing. */
export interface SlotObserver {
  /** How many slots are held now. */
  leases?(count: number): void;
  /** A row ended; `ageMs` since it was written, by the store's clock, when it was read. */
  ended?(ageMs: number): void;
  /** The store failed; nothing is lost, it is tried again. */
  storeFailed?(error: unknown): void;
}
