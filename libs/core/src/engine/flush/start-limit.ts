import type { Clock } from '../../ports/index.js';
import { EngineClosedError, StartQueueFullError } from '../errors.js';

export interface StartLimitOptions {
  readonly clock: Clock;
  /** Starts that may be under way at once. */
  readonly maxStarts: number;
  /** How long a start beyond that waits for its turn. */
  readonly startWaitMs: number;
}

interface Waiting {
  readonly bytes: number;
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** Inputs of starts under way, together; a single larger one goes alone. */
const MOST_BYTES = 64 * 1_024 * 1_024;

/**
 * Bounds the starts that this process keeps in memory until the store has taken them. Where the store
 * takes them more slowly than callers bring them, the callers wait in the order of their calls, and
 * are refused when that takes too long or as many wait already: they know what to do, and a queue that
 * grows does not.
 */
export class StartLimit {
  readonly #options: StartLimitOptions;
  readonly #waiting = new Set<Waiting>();
  #starts = 0;
  #bytes = 0;
  #closed = false;

  constructor(options: StartLimitOptions) {
    this.#options = options;
  }

  /**
   * Resolves when a start with so many bytes of input may begin; the answer says that it has ended.
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

  /** Callers that wait get the error that the engine is closed. */
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
    if (this.#waiting.size >= maxStarts) {
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
          this.#waiting.delete(waiting);
          timer.cancel();
          this.#take(bytes);
          resolve();
        },
        refuse: (error) => {
          this.#waiting.delete(waiting);
          timer.cancel();
          reject(error);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  #next(): void {
    for (const one of this.#waiting) {
      if (!this.#fits(one.bytes)) return;
      one.begin();
    }
  }
}
