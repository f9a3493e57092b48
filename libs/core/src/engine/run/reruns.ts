import type { Clock } from '../../ports/index.js';
import { delayOf } from '../../retry/index.js';

/**
 * Why a transactional attempt was rolled back although nothing is wrong with its saga.
 *
 * - `conflict`: it lost a race, as the database said.
 * - `key`: another transaction has locked the key that its command names.
 * - `row`: another transaction has locked the row of its saga.
 * - `turn`: another transition of its saga is kept waiting.
 */
export type RolledBackFor = 'conflict' | 'key' | 'row' | 'turn';

/** How many runs may follow a first one that was rolled back for a cause of the same kind. */
const MOST = 12;
/** The longest time, in milliseconds, in which such runs may follow the first one. */
const WITHIN_MS = 60_000;
/**
 * Pauses after a lost race: growing, and half of them random, so that the transactions do not meet
 * again at once.
 */
const CONFLICT_BACKOFF = { attempts: 1, backoffMs: 10, factor: 2, maxDelayMs: 2_000, jitter: 0.5 };
/** From this many lost races on, the saga's turn is held during a run. */
const CONFLICTS_TO_HOLD = 2;
/** Pauses before a run that follows one which met a lock; doubled each time. In milliseconds. */
const FIRST_LOCK_PAUSE_MS = 50;
const LONGEST_LOCK_PAUSE_MS = 5_000;

/**
 * How often and how long one transactional attempt runs again without being counted. It holds a permit
 * and, while it runs, a connection, which others lack if the same lock meets it for ever.
 */
export class Reruns {
  readonly #clock: Clock;
  /** Runs that ended at something of the step itself: rows that it writes, or the key of its command. */
  readonly #own = { runs: 0, since: 0 };
  /** Runs that ended because others keep the saga as a whole waiting. */
  readonly #others = { runs: 0, since: 0 };
  #conflicts = 0;
  #locks = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a run was rolled back. False: no other one may follow. */
  note(cause: RolledBackFor): boolean {
    if (cause === 'conflict') this.#conflicts += 1;
    if (cause === 'row' || cause === 'key') this.#locks += 1;
    const kind = this.#kindOf(cause);
    if (kind.runs === 0) kind.since = this.#clock.now();
    kind.runs += 1;
    return kind.runs <= MOST && this.leftMs(cause) > 0;
  }

  /** The pause before the next run, in milliseconds. */
  pauseMs(cause: RolledBackFor): number {
    switch (cause) {
      case 'conflict':
        return delayOf(CONFLICT_BACKOFF, this.#conflicts);
      case 'key':
      case 'row':
        return Math.min(FIRST_LOCK_PAUSE_MS * 2 ** (this.#locks - 1), LONGEST_LOCK_PAUSE_MS);
      case 'turn':
        return 0;
    }
  }

  /**
   * Whether the next run holds the saga's turn, so that no other transition of the saga interferes, or
   * has it when the run is ready to commit.
   */
  holdsTurn(cause: RolledBackFor): boolean {
    return cause === 'turn' || (cause === 'conflict' && this.#conflicts >= CONFLICTS_TO_HOLD);
  }

  /** How much is left of the time in which runs may follow, in milliseconds. */
  leftMs(cause: RolledBackFor): number {
    return Math.max(0, this.#kindOf(cause).since + WITHIN_MS - this.#clock.now());
  }

  #kindOf(cause: RolledBackFor): { runs: number; since: number } {
    switch (cause) {
      case 'conflict':
      case 'key':
        return this.#own;
      case 'row':
      case 'turn':
        return this.#others;
    }
  }
}
