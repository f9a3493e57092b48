import type { Clock, Timer } from '../../ports/index.js';

/**
 * When to look next: at once on a hint when nothing was going on, spaced while things keep coming
 * (each read costs the same whether it finds one row or five hundred), and now and then without any
 * hint, because hints may be lost.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #busyMs: number;
  readonly #pollMs: number;
  #lastStart = -Infinity;
  #quietMs: number;
  /** A hint came since the last look began: what that look saw may be older than the hint. */
  #dirty = true;
  #timer: Timer | undefined;
  #resume: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock, busyMs: number, pollMs: number) {
    this.#clock = clock;
    this.#busyMs = busyMs;
    this.#pollMs = pollMs;
    this.#quietMs = pollMs;
  }

  hint(): void {
    this.#dirty = true;
    if (this.#resume !== undefined) this.#arm(this.#lastStart + this.#busyMs);
  }

  /** A look begins. */
  begin(): void {
    this.#dirty = false;
    this.#lastStart = this.#clock.now();
  }

  /** Resolves when it is time to look again. */
  next(found: 'more' | 'some' | 'nothing'): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (found === 'more') return Promise.resolve();
    this.#quietMs =
      found === 'some' ? this.#busyMs : Math.min(this.#pollMs, Math.max(1, this.#quietMs * 2));
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#arm(this.#lastStart + (this.#dirty ? this.#busyMs : this.#quietMs));
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
