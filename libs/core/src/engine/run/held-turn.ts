import type { Timers } from './timers.js';
import type { Turn } from './turn.js';

/** A commit waits so long for one that holds the turn for a whole run of its method; then it takes it. */
const PATIENCE_MS = 200;
/** A commit waits so long for the turn: its transaction holds rows that others want. */
const LONGEST_WAIT_MS = 5_000;

/** The turn of its saga, as an attempt takes it: to commit, or for a whole run of its method. */
export class HeldTurn {
  readonly #turn: Turn;
  /** Gives the turn back to the saga, which may have something to do. */
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
   * Takes it for a commit, if it is not held already, until {@link end}. False: it was not there in
   * time, and the transaction that waits for it should end and give others its rows.
   *
   * Two steps of a saga can wait for each other, one for a row and one for the turn. The one that has
   * the row is ready to commit, so it gets the turn, and the other one goes on with the row.
   */
  async takeToCommit(): Promise<boolean> {
    if (!this.#held) {
      const stopPatience = this.#timers.set(PATIENCE_MS, () => this.#turn.reclaim());
      let stopWait = (): void => undefined;
      const expired = new Promise<void>((resolve) => {
        stopWait = this.#timers.set(LONGEST_WAIT_MS, resolve);
      });
      this.#held = await this.#turn.takeUntil(expired);
      stopPatience();
      stopWait();
    }
    this.#stopBound?.();
    // An attempt that is committing now is done in a moment.
    if (this.#held) this.#turn.keep();
    return this.#held;
  }

  /**
   * Takes it for at most `boundMs`: while it is held, nothing of the saga is journaled, not even that
   * it is cancelled, and the user's code may never come to its end.
   */
  async holdFor(boundMs: number): Promise<void> {
    if (!this.#held) {
      await this.#turn.take();
      this.#held = true;
    }
    this.#stopBound?.();
    this.#stopBound = this.#timers.set(boundMs, () => this.end());
    this.#turn.lend(() => this.end());
  }

  /** Gives it back, if it is held. */
  end(): void {
    this.#stopBound?.();
    if (!this.#held) return;
    this.#held = false;
    this.#endTurn();
  }
}
