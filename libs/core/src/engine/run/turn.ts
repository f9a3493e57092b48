/**
 * The right to write a transition of a saga. Callers get it in the order in which they asked.
 *
 * Most callers hold it for as long as a commit takes. An attempt that holds it for a whole run of a
 * user's method declares that by {@link lend}, and gives it back early if a commit cannot wait that
 * long, because the method may be waiting for a row that the waiting transaction has locked.
 */
export class Turn {
  #taken = false;
  readonly #waiting: (() => void)[] = [];
  #giveBack: (() => void) | null = null;

  get taken(): boolean {
    return this.#taken;
  }

  /** Takes the turn if it is free. */
  tryTake(): boolean {
    if (this.#taken) return false;
    this.#taken = true;
    return true;
  }

  take(): Promise<void> {
    if (this.tryTake()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Takes the turn once it is free. False: `expired` resolved first, and the caller does not wait any
   * more.
   */
  async takeUntil(expired: Promise<void>): Promise<boolean> {
    if (this.tryTake()) return true;
    return new Promise((resolve) => {
      const grant = (): void => resolve(true);
      this.#waiting.push(grant);
      void expired.then(() => {
        const at = this.#waiting.indexOf(grant);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        resolve(false);
      });
    });
  }

  /** Allows others to end the hold early, by calling `giveBack`. */
  lend(giveBack: () => void): void {
    this.#giveBack = giveBack;
  }

  /** Ends what {@link lend} allowed: the holder needs the turn from now on. */
  keep(): void {
    this.#giveBack = null;
  }

  /** Ends the current hold if its holder has allowed that by {@link lend}. */
  reclaim(): void {
    this.#giveBack?.();
  }

  end(): void {
    this.#giveBack = null;
    const next = this.#waiting.shift();
    // The turn passes directly to the next caller, so that no other can take it in between.
    if (next === undefined) this.#taken = false;
    else next();
  }
}
