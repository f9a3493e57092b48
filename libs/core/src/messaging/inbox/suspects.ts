import type { Clock } from '../../ports/index.js';

/** How many messages whose retry this process asked for are remembered. */
const REMEMBERED = 20_000;

/**
 * Messages that were delivered before, to no end this process knows of: one of them may have killed
 * a process. They run one at a time among themselves, so that the next death has one suspect and the
 * innocent, which were merely in flight beside it, are not counted.
 */
export class Suspects {
  readonly #retries = new Map<string, number>();
  #last: Promise<void> = Promise.resolve();

  /** How many uncounted retries in a row this process asked for; null: it asked for none at all. */
  retriesOf(name: string): number | null {
    return this.#retries.get(name) ?? null;
  }

  /** This process puts the message off: its next delivery is no suspect. */
  noteRetry(name: string, counted: boolean): void {
    const before = this.#retries.get(name) ?? 0;
    this.#retries.delete(name);
    this.#retries.set(name, counted ? 0 : before + 1);
    if (this.#retries.size <= REMEMBERED) return;
    for (const oldest of this.#retries.keys()) {
      // To be forgotten costs the message one note and its turn among suspects, nothing else.
      this.#retries.delete(oldest);
      break;
    }
  }

  forget(name: string): void {
    this.#retries.delete(name);
  }

  /**
   * Runs `work` when no other suspect runs. Null: one that never ends kept it waiting for `waitMs`,
   * and `work` was not begun; one hanging handler must not stop all other suspects for good.
   */
  async alone<T>(work: () => Promise<T>, clock: Clock, waitMs: number): Promise<T | null> {
    const before = this.#last;
    let free: () => void = () => undefined;
    this.#last = new Promise<void>((resolve) => {
      free = resolve;
    });
    if (!(await within(before, clock, waitMs))) {
      // Whoever comes next waits for the one that hangs, not for this one.
      void before.then(free);
      return null;
    }
    try {
      return await work();
    } finally {
      free();
    }
  }
}

function within(end: Promise<void>, clock: Clock, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(waitMs, () => {
      resolve(false);
    });
    void end.then(() => {
      timer.cancel();
      resolve(true);
    });
  });
}
