import {
  SagazError,
  errorMessage,
  propertyOf,
  storeFailureOf,
  type Clock,
  type Logger,
} from '@sagaz/core';

/** A database that the application needs to start was not reachable in time. */
export class StartTimeoutError extends SagazError {
  readonly code = 'SAGAZ_START_TIMEOUT';

  constructor(
    /** For example `the database of "default"`. */
    readonly server: string,
    readonly waitedMs: number,
    cause: unknown,
  ) {
    super(
      `The start has waited ${String(Math.round(waitedMs / 1_000))} s for ${server}, which is still away: ${errorMessage(cause)}`,
      'Start it, or let the application wait longer: startTimeout of SagazModule.forRoot, or SAGAZ_START_TIMEOUT.',
      { cause },
    );
  }
}

export interface Patience {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long to wait, in milliseconds; 0: the first try is the last. */
  readonly withinMs: number;
}

const FIRST_MS = 250;
const LONGEST_MS = 5_000;
/** The first interval between log lines, in ms; it grows to a minute. */
const FIRST_LINE_MS = 5_000;
const LONGEST_LINE_MS = 60_000;

/**
 * The SQLSTATEs of a statement that the server itself ended because it took longer than a limit of the
 * role (57014) or waited too long for a lock (55P03). A server that is overloaded, or a table that is
 * locked for a moment, is no reason to end a start: with a short `statement_timeout` the server says so
 * before the limit of the statement in this process is over, after which it would count as away.
 */
const TOOK_TOO_LONG: ReadonlySet<unknown> = new Set(['57014', '55P03']);

/** Whether the server gave no answer, or none within the time that it allows itself. */
function isUnanswered(error: unknown): boolean {
  if (storeFailureOf(error) === 'away') return true;
  return TOOK_TOO_LONG.has(propertyOf(propertyOf(error, 'driverError') ?? error, 'code'));
}

/**
 * Repeats `attempt` as long as the server does not answer, and logs that at once and then at growing
 * intervals. Any other error ends the start at once, because a wrong password, database, schema, grant
 * or certificate is not corrected by waiting.
 *
 * It waits before the application listens, since nothing in the application works without its database,
 * and a probe that finds no port learns as much as from a 503.
 *
 * @throws StartTimeoutError
 */
export async function waitForServer<T>(
  server: string,
  attempt: () => Promise<T>,
  { clock, logger, withinMs }: Patience,
): Promise<T> {
  const began = clock.now();
  let sayAt = began;
  let lineMs = FIRST_LINE_MS;
  let pauseMs = FIRST_MS;
  let waited = false;
  // Timers of a clock do not keep the process alive, and before the start nothing else does.
  const alive = setInterval(() => undefined, 1_000);
  try {
    for (;;) {
      try {
        const result = await attempt();
        if (waited) logger.info(`The start goes on: ${server} is there.`);
        return result;
      } catch (error) {
        if (!isUnanswered(error) || withinMs === 0) throw error;
        const now = clock.now();
        const leftMs = began + withinMs - now;
        if (leftMs <= 0) throw new StartTimeoutError(server, now - began, error);
        if (now >= sayAt) {
          logger.warn(
            `The start waits for ${server}, which is away; the application is not ready before.`,
            {
              error: errorMessage(error),
              waitedS: Math.round((now - began) / 1_000),
              waitsAtMostS: Math.round(withinMs / 1_000),
            },
          );
          sayAt = now + lineMs;
          lineMs = Math.min(lineMs * 2, LONGEST_LINE_MS);
        }
        waited = true;
        // The pause is spread out, or all processes would connect at the moment when the server is
        // back.
        const pause = Math.min(pauseMs * (0.5 + Math.random() / 2), leftMs);
        pauseMs = Math.min(pauseMs * 2, LONGEST_MS);
        await new Promise<void>((resolve) => clock.after(pause, resolve));
      }
    }
  } finally {
    clearInterval(alive);
  }
}
