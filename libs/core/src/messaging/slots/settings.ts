/** How a {@link SlotConsumer} reads and keeps its slots. All times in milliseconds. */
export interface SlotSettings {
  /** How long slots stay with a process that does not renew its leases. Default 10,000. */
  readonly leaseTtlMs: number;
  /** How often to look when no hint comes. Default 1,000. */
  readonly pollIntervalMs: number;
  /** The longest pause between reads while many messages keep coming. Default 5. */
  readonly busyIntervalMs: number;
  /** At most this many rows in one read. Default 1,000. */
  readonly readLimit: number;
  /** At most this many rows in memory in any state. Default 10,000. */
  readonly maxTaken: number;
  /** How long the loop may show no progress before its leases are given up. Default 60,000. */
  readonly stallAfterMs: number;
  /**
   * From this many crashes of owners in a row on, the messages of a slot are handled one at a time.
   * Default 2.
   */
  readonly suspectAfterCrashes: number;
  /**
   * How many messages of a suspicious slot that never runs empty must be handled without a crash before
   * it is trusted. Default 32.
   */
  readonly suspectSurvivors: number;
  /**
   * After so many failed removals in a row, of rows or of all there is, nothing more is read until one
   * succeeds or each row has been tried by itself. Default 5.
   */
  readonly maxFailedCompletions: number;
}

export const DEFAULT_SLOT_SETTINGS: SlotSettings = {
  leaseTtlMs: 10_000,
  pollIntervalMs: 1_000,
  busyIntervalMs: 5,
  readLimit: 1_000,
  maxTaken: 10_000,
  stallAfterMs: 60_000,
  suspectAfterCrashes: 2,
  suspectSurvivors: 32,
  maxFailedCompletions: 5,
};
