import type { Alarms } from './alarms.js';
import type { SagaRun } from './saga-run.js';

/** The turn of its saga, as an attempt takes it: to commit, or for a whole run of its method. */
export class HeldTurn {
  readonly #run: Pick<SagaRun, 'takeTurn' | 'endTurn'>;
  readonly #alarms: Alarms;
  #held = false;
  #stopBound: (() => void) | null = null;

  constructor(run: Pick<SagaRun, 'takeTurn' | 'endTurn'>, alarms: Alarms) {
    this.#run = run;
    this.#alarms = alarms;
  }

  /** Takes it, if it is not held already, until {@link end}. */
  async take(): Promise<void> {
    if (!this.#held) {
      await this.#run.takeTurn();
      this.#held = true;
    }
    this.#stopBound?.();
  }

  /**
   * Takes it for at most `boundMs`: while it is held, nothing of the saga is journaled, not even that
   * it is cancelled, and the user's code may never come to its end.
   */
  async holdFor(boundMs: number): Promise<void> {
    await this.take();
    this.#stopBound = this.#alarms.set(boundMs, () => this.end());
  }

  /** Gives it back, if it is held. */
  end(): void {
    this.#stopBound?.();
    if (!this.#held) return;
    this.#held = false;
    this.#run.endTurn();
  }
}
