/**
 * The right to move a saga. Callers get it in the order in which they asked.
 *
 * Most hold it for as long as a commit takes. One that holds it for a whole run of a user's method says
 * so by {@link lend}, and gives it back early when somebody cannot wait that long: the method may be
 * waiting for a row that the one who waits for the turn has locked.
 */
export class Turn {
  #taken = false;
  readonly #waiting: (() => void)[] = [];
  #giveBack: (() => void) | null = null;

  get taken(): boolean {
    return this.#taken;
  }

  /** Takes it if nobody has it. */
  tryTake(): boolean {
    if (this.#taken) return false;
    this.#taken = true;
    return true;
  }

  take(): Promise<void> {
    if (this.tryTake()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Takes it once it is there, unless `expired` resolves first; then it is not waited for any more. */
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

  /** The holder can do without it: `giveBack` ends its hold. */
  lend(giveBack: () => void): void {
    this.#giveBack = giveBack;
  }

  /** The holder needs it from now on. */
  keep(): void {
    this.#giveBack = null;
  }

  /** Somebody needs it now: whoever has only borrowed it gives it back. */
  reclaim(): void {
    this.#giveBack?.();
  }

  end(): void {
    this.#giveBack = null;
    const next = this.#waiting.shift();
    // Handed over, not put down: nobody can take it in between.
    if (next === undefined) this.#taken = false;
    else next();
  }
}
