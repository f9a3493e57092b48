/**
 * How long each disturbance lasts, and how soon what it stopped is taken over. The bounds of the report
 * follow from these.
 */

/** The time of a freeze, which is longer than a lease, so that the work of the process is taken over. */
export const FREEZE_MS = 9_000;
/** Until the sockets of a black hole are closed. So long a server holds the locks of a transaction in it. */
export const HOLE_MS = 45_000;
/** For how long no process reaches the broker. */
export const AWAY_MS = 15_000;
/** The average time between two disturbances. */
export const PAUSE_MS = 15_000;

/**
 * Leases of engines, relays and consumers: the work of a process that died is taken over after this
 * time.
 */
export const TTL_MS = 4_000;
/** Time limit of each of the application's own statements. */
export const APP_STATEMENT_MS = 10_000;
/** The longest pause between two attempts of a step, a handler or a broken connection. */
export const LONGEST_RETRY_MS = 5_000;
