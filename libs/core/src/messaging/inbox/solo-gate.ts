import type { Clock } from '../../ports/index.js';
import { settlesWithin } from '../settles-within.js';

/** How long a piece of work waits to be alone, and for how long it then is. In milliseconds. */
export interface SoloTimes {
  /** For others that want to be alone too. */
  readonly turnMs: number;
  /** For what runs already; meanwhile nothing new begins. */
  readonly drainMs: number;
  /** After so long the others go on beside it, or a handler that hangs would stop them all. */
  readonly aloneMs: number;
}

/**
 * Lets work run together with other work, or with nothing beside it. One gate serves all consumers of a
 * process: should the process die, what ran alone is what it died of.
 */
export class SoloGate {
  readonly #clock: Clock;
  #running = 0;
  #drained: (() => void) | null = null;
  /** Set while somebody waits to be alone, or is; resolves when others may begin again. */
  #closed: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `work` together with other work, once nobody is alone. */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed;
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#end();
    }
  }

  /**
   * Runs `work` when nothing else runs. `joined` is called when others begin beside it because it takes
   * too long. Null: it could not be alone in time and was not begun.
   */
  async alone<T>(
    work: () => Promise<T>,
    { turnMs, drainMs, aloneMs }: SoloTimes,
    joined: () => void,
  ): Promise<T | null> {
    const before = this.#last;
    let next: () => void = () => undefined;
    this.#last = new Promise<void>((resolve) => (next = resolve));
    if (!(await settlesWithin(before, this.#clock, turnMs))) {
      // Whoever comes next waits for the one at work, not for this one.
      void before.then(next);
      return null;
    }
    const open = this.#close();
    if (!(await settlesWithin(this.#empty(), this.#clock, drainMs))) {
      open();
      next();
      return null;
    }
    this.#running += 1;
    const timer = this.#clock.after(aloneMs, () => {
      joined();
      open();
      next();
    });
    try {
      return await work();
    } finally {
      timer.cancel();
      this.#end();
      open();
      next();
    }
  }

  #close(): () => void {
    let open: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => (open = resolve));
    this.#closed = closed;
    return () => {
      if (this.#closed === closed) this.#closed = null;
      open();
    };
  }

  #empty(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#drained = resolve));
  }

  #end(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#drained?.();
  }
}
