/** A timer that was set on a {@link Clock}. */
export interface Timer {
  /** Stops the timer; harmless once it has fired. */
  cancel(): void;
}

/**
 * Measures durations in this process. Instants that decide anything (a lease, an expiry, a due time)
 * are those of the database; this clock only measures how long something took or has yet to take here.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. Never a date. */
  now(): number;
  /** The host's date: for ids and for people to read, never for a decision. */
  date(): Date;
  /**
   * Calls `fire` once after `ms` milliseconds, which may be any number. Does not keep the process
   * alive.
   */
  after(ms: number, fire: () => void): Timer;
}
