import {
  APP_STATEMENT_MS,
  AWAY_MS,
  FREEZE_MS,
  HOLE_MS,
  LONGEST_RETRY_MS,
  TTL_MS,
} from './timings.js';

/**
 * The longest time for which one disturbance holds work back: a black hole with an open transaction in
 * it. The server rolls the transaction back when the hole is closed. Whoever waits for one of its locks
 * may have begun to wait a moment before, and fails when the time limit of its statement is over; the
 * next attempt comes after the longest pause, and by then perhaps in a process that had to take over.
 */
const LONGEST_HOLD_MS = HOLE_MS + APP_STATEMENT_MS + LONGEST_RETRY_MS + TTL_MS;

/**
 * The longest time for which any other disturbance holds work back. A frozen process loses its leases and
 * all that it was doing while it stands still; a broker that was away is found again at the next attempt,
 * and the slots whose leases ran out have to be taken again.
 */
const OTHER_HOLD_MS = Math.max(FREEZE_MS, AWAY_MS) + LONGEST_RETRY_MS + TTL_MS;

/**
 * Disturbances are independent, so that one may begin when another one has just let a message go. Each
 * kind comes once in a round of all kinds: a message that meets one of the longest kind and then one of
 * another kind has met what there is in that part of the round.
 */
const MESSAGE_WAITS_MS = LONGEST_HOLD_MS + OTHER_HOLD_MS;

/**
 * A saga is held back as a message is, and in more than one place: by a black hole to the store while it
 * runs, by one to the broker while its command or its reply is under way, and by the others in between.
 * There are two kinds of holes in a round.
 */
const SAGA_TAKES_MS = 2 * MESSAGE_WAITS_MS;

/** Seconds, and shares, that a run must keep to. */
export const BOUNDS = {
  /** From when a message is written to an outbox, or to a group of the broker, until it is gone from there. */
  messageWaits: Math.round(MESSAGE_WAITS_MS / 1000),
  /** From the start of a saga to its end. */
  sagaTakes: Math.round(SAGA_TAKES_MS / 1000),
  /** After the last disturbance a saga may still have everything before it. */
  settlesAfter: Math.round(SAGA_TAKES_MS / 1000),
  /** In which no saga ended: the four engines have no common part but the server, which is soon back. */
  standstill: 90,
  /** A heap after a garbage collection is never quite the same twice. */
  heap: { ratio: 1.5, more: 16 },
  /** The allocator keeps pages that the heap gave back, so that RSS moves more than the heap does. */
  rss: { ratio: 1.5, more: 64 },
  connections: { ratio: 1.25, more: 10 },
} as const;
