import type { Timers } from './timers.js';
import type { Turn } from './turn.js';

/**
 * A commit waits this long for an attempt that holds the turn for a whole run of its method; then it
 * takes the turn. In milliseconds.
 */
const PATIENCE_MS = 200;
/**
 * A commit waits at most this long for the turn, because its transaction holds row locks that others
 * want.
 */
const LONGEST_WAIT_MS = 5_000;

/** The hold of an attempt on the turn of its saga: for a commit, or for a whole run of its method. */
export class HeldTurn {
  readonly #turn: Turn;
  /** Gives the turn back to the saga, which may have a decision due. */
  readonly #endTurn: () => void;
  readonly #timers: Timers;
  #held = false;
  #stopBound: (() => void) | null = null;

  constructor(turn: Turn, endTurn: () => void, timers: Timers) {
    this.#turn = turn;
    this.#endTurn = endTurn;
    this.#timers = timers;
  }

  /**
   * Takes the turn for a commit, if it is not held already, until {@link end}. False: the turn was not
   * free in time, and the waiting transaction should end to release its row locks.
   *
   * Two steps of a saga can wait for each other: one holds the turn and waits for a row lock, and the
   * other holds the row lock and waits for the turn. The latter is ready to commit, so it gets the
   * turn, and its commit releases the row.
   */
  async takeToCommit(): Promise<boolean> {
    if (!this.#held) {
      const stopPatience = this.#timers.set(PATIENCE_MS, () => this.#turn.reclaim());
      this.#held = await this.#takeWithin(LONGEST_WAIT_MS);
      stopPatience();
    }
    this.#stopBound?.();
    // From here on the hold is not given back early: the commit takes a moment only.
    if (this.#held) this.#turn.keep();
    return this.#held;
  }

  /**
   * Takes the turn for at most `boundMs` milliseconds. The bound is needed because no transition of the
   * saga is journaled while the turn is held, not even a cancel, and the user's code may never return.
   * False: the turn was not free within `waitMs` milliseconds.
   */
  async holdFor(boundMs: number, waitMs: number): Promise<boolean> {
    if (!this.#held) this.#held = await this.#takeWithin(waitMs);
    if (!this.#held) return false;
    this.#stopBound?.();
    this.#stopBound = this.#timers.set(boundMs, () => this.end());
    this.#turn.lend(() => this.end());
    return true;
  }

  async #takeWithin(waitMs: number): Promise<boolean> {
    let stopWait = (): void => undefined;
    const expired = new Promise<void>((resolve) => {
      stopWait = this.#timers.set(waitMs, resolve);
    });
    const taken = await this.#turn.takeUntil(expired);
    stopWait();
    return taken;
  }

  /** Gives the turn back, if it is held. */
  end(): void {
    this.#stopBound?.();
    if (!this.#held) return;
    this.#held = false;
    this.#endTurn();
  }
}
