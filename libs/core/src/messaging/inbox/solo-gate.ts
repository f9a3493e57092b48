import type { Clock } from '../../ports/index.js';
import { settlesWithin } from '../settles-within.js';

/** How long work waits to be alone, and for how long it then is alone. In milliseconds. */
export interface SoloTimes {
  /** The longest wait for other work that has to be alone too. */
  readonly turnMs: number;
  /** The longest wait for running work to end; meanwhile nothing new begins. */
  readonly drainMs: number;
  /** After this time other work goes on beside it, or a handler that hangs would stop all others. */
  readonly aloneMs: number;
}

/**
 * Lets work run beside other work, or alone. One gate serves all consumers of a process, so that if the
 * process dies, the work that ran alone has killed it.
 */
export class SoloGate {
  readonly #clock: Clock;
  #running = 0;
  #drained: (() => void) | null = null;
  /** Set while work waits to be alone, or is alone; resolves when other work may begin again. */
  #closed: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `work` beside other work, once no work is alone. */
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
   * Runs `work` when no other work is running. `joined` is called when other work begins beside it
   * because it takes too long. Null: it could not be alone in time and was not begun.
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
      // The next caller waits for the work that is alone now, and not for this one, which has given up.
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
