import type { InboxHandler } from './inbox.types.js';

const TIMEOUT_MS = 900_000;
/** How much later than a handler's process the database ends its transaction, in milliseconds. */
const IDLE_MARGIN_MS = 5_000;

/** How long an attempt may take, in milliseconds. */
export interface TimeLimits {
  /** After this the handler is told to stop; null: it may take as long as it wants. */
  readonly limitMs: number | null;
  /** How long the handler may then take to stop. After this it loses its transaction. */
  readonly graceMs: number;
  /**
   * How long the transaction may be without a statement before the database ends it: longer than the
   * process lets the handler go on. When this time is over, the process is frozen or its host is lost, and
   * nobody else would release the message and the rows that the handler has locked. Undefined: no limit.
   */
  readonly idleMs: number | undefined;
}

/** @param graceMs by default as long again as the handler's limit, from one to ten seconds */
export function timeLimitsOf(
  { timeoutMs: limitMs = TIMEOUT_MS }: Pick<InboxHandler, 'timeoutMs'>,
  graceMs = Math.min(Math.max(limitMs ?? 0, 1_000), 10_000),
): TimeLimits {
  const idleMs = limitMs === null ? undefined : limitMs + graceMs + IDLE_MARGIN_MS;
  return { limitMs, graceMs, idleMs };
}
