import type { Clock, Timer } from '../../ports/index.js';

/** From this many rows in one look on, the next look waits in full for more. */
const CROWD = 8;

/**
 * When to look next. A look costs the same whether it finds one row or five hundred. So a hint leads to
 * a look at once while looks find little, and the more they find the later; at most half of the time is
 * spent looking. Now and then there is a look without a hint, because hints may be lost; it comes so
 * late that it seldom delays one with a hint.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #busyMs: number;
  readonly #pollMs: number;
  #lastStart = -Infinity;
  /** When a hint may be followed. */
  #readyAt = -Infinity;
  #quietMs: number;
  /**
   * Whether a hint came since the last look began, so that the look may have read before the change.
   */
  #dirty = true;
  #timer: Timer | undefined;
  #resume: (() => void) | undefined;
  #closed = false;

  /** @param busyMs the longest time that hints wait for each other */
  constructor(clock: Clock, busyMs: number, pollMs: number) {
    this.#clock = clock;
    this.#busyMs = busyMs;
    this.#pollMs = pollMs;
    this.#quietMs = pollMs;
  }

  hint(): void {
    this.#dirty = true;
    if (this.#resume !== undefined) this.#arm(this.#readyAt);
  }

  /** A look begins. */
  begin(): void {
    this.#dirty = false;
    this.#lastStart = this.#clock.now();
  }

  /**
   * Resolves when it is time to look again after a look that found `rows`.
   *
   * @param more it saw that there are more: at once
   */
  next(rows: number, more: boolean): Promise<void> {
    if (this.#closed || more) return Promise.resolve();
    const now = this.#clock.now();
    const tookMs = now - this.#lastStart;
    this.#readyAt = now + Math.min(this.#busyMs, Math.max(tookMs, (this.#busyMs * rows) / CROWD));
    if (rows === 0) this.#quietMs = Math.min(this.#pollMs, Math.max(1, this.#quietMs * 2));
    else this.#quietMs = rows < CROWD ? 4 * this.#busyMs : this.#busyMs;
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#arm(
        this.#dirty ? this.#readyAt : Math.max(this.#readyAt, this.#lastStart + this.#quietMs),
      );
    });
  }

  close(): void {
    this.#closed = true;
    this.#fire();
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    const wait = at - this.#clock.now();
    if (wait <= 0) this.#fire();
    else this.#timer = this.#clock.after(wait, () => this.#fire());
  }

  #fire(): void {
    this.#timer?.cancel();
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }
}
