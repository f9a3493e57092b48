/** How long the first trial of a key counts, in milliseconds. */
const WINDOW_MS = 10_000;
/** The most keys that are remembered; of more, the oldest are forgotten. */
const REMEMBERED = 10_000;
/** Fewer keys say nothing about the group's handlers: they may be the few that are at fault themselves. */
const LEAST_KEYS = 10;
/** The share of failed keys from which on the handlers count as failing, in percent. */
const FAILING_PERCENT = 90;

interface Trial {
  readonly at: number;
  readonly failed: boolean;
}

/** How the first trial of each key ended, in the last ten seconds. */
export class RecentTrials {
  /** In the order of their times. */
  readonly #trials = new Map<string, Trial>();
  #failed = 0;

  /** Notes a trial. Only the first one of a key counts, or a key that is tried again soon would weigh more. */
  note(key: string, how: 'worked' | 'failed', now: number): void {
    this.#expire(now);
    if (this.#trials.has(key)) return;
    const failed = how === 'failed';
    this.#trials.set(key, { at: now, failed });
    if (failed) this.#failed += 1;
    if (this.#trials.size > REMEMBERED) this.#forgetOldest();
  }

  /** Whether nearly all keys failed; false where there were too few to tell. */
  fails(now: number): boolean {
    this.#expire(now);
    const { size } = this.#trials;
    return size >= LEAST_KEYS && this.#failed * 100 >= size * FAILING_PERCENT;
  }

  /** How many keys failed, of how many: for people. */
  get share(): { readonly failed: number; readonly keys: number } {
    return { failed: this.#failed, keys: this.#trials.size };
  }

  clear(): void {
    this.#trials.clear();
    this.#failed = 0;
  }

  #expire(now: number): void {
    for (const [, { at }] of this.#trials) {
      if (now - at < WINDOW_MS) return;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    for (const [key, { failed }] of this.#trials) {
      this.#trials.delete(key);
      if (failed) this.#failed -= 1;
      return;
    }
  }
}
