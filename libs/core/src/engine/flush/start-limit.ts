import type { Clock } from '../../ports/index.js';
import { EngineClosedError, StartQueueFullError } from '../errors.js';

export interface StartLimitOptions {
  readonly clock: Clock;
  /** Starts that may be under way at once. */
  readonly maxStarts: number;
  /** How long a further start waits for its turn, in milliseconds. */
  readonly startWaitMs: number;
}

interface Waiting {
  readonly bytes: number;
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/**
 * The most bytes that the inputs of all starts under way have together, and those of all that wait; a
 * single larger one goes alone, and waits alone.
 */
const MOST_BYTES = 64 * 1_024 * 1_024;

/**
 * Bounds the starts that this process keeps in memory until the store has taken them. If callers start
 * sagas faster than the store takes them, the callers wait in the order of their calls. A call is
 * refused if it waits too long or if as many wait already, because a caller can react to a refusal,
 * whereas a growing queue only uses memory.
 */
export class StartLimit {
  readonly #options: StartLimitOptions;
  readonly #waiting = new Set<Waiting>();
  #starts = 0;
  #bytes = 0;
  #waitingBytes = 0;
  #closed = false;

  constructor(options: StartLimitOptions) {
    this.#options = options;
  }

  /**
   * Resolves when a start with so many bytes of input may begin. The caller calls the returned function
   * when the start has ended.
   *
   * @throws StartQueueFullError, EngineClosedError
   */
  async enter(bytes: number): Promise<() => void> {
    if (this.#closed) throw new EngineClosedError();
    if (this.#waiting.size > 0 || !this.#fits(bytes)) await this.#turn(bytes);
    else this.#take(bytes);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#starts -= 1;
      this.#bytes -= bytes;
      this.#next();
    };
  }

  /** Ends all waits: waiting callers get an `EngineClosedError`. */
  close(): void {
    this.#closed = true;
    for (const one of [...this.#waiting]) one.refuse(new EngineClosedError());
  }

  #fits(bytes: number): boolean {
    if (this.#starts === 0) return true;
    return this.#starts < this.#options.maxStarts && this.#bytes + bytes <= MOST_BYTES;
  }

  #take(bytes: number): void {
    this.#starts += 1;
    this.#bytes += bytes;
  }

  #turn(bytes: number): Promise<void> {
    const { clock, maxStarts, startWaitMs } = this.#options;
    const tooLarge = this.#waiting.size > 0 && this.#waitingBytes + bytes > MOST_BYTES;
    if (this.#waiting.size >= maxStarts || tooLarge) {
      return Promise.reject(new StartQueueFullError(maxStarts, 0));
    }
    return new Promise((resolve, reject) => {
      const timer = clock.after(startWaitMs, () => {
        waiting.refuse(new StartQueueFullError(maxStarts, startWaitMs));
        this.#next();
      });
      const waiting: Waiting = {
        bytes,
        begin: () => {
          this.#leave(waiting);
          timer.cancel();
          this.#take(bytes);
          resolve();
        },
        refuse: (error) => {
          this.#leave(waiting);
          timer.cancel();
          reject(error);
        },
      };
      this.#waiting.add(waiting);
      this.#waitingBytes += bytes;
    });
  }

  #leave(waiting: Waiting): void {
    if (this.#waiting.delete(waiting)) this.#waitingBytes -= waiting.bytes;
  }

  #next(): void {
    for (const one of this.#waiting) {
      if (!this.#fits(one.bytes)) return;
      one.begin();
    }
  }
}
