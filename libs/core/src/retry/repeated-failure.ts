import { errorMessage, storeFailureOf, type StoreFailure } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';

export interface RepeatedFailureOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The work that is repeated, as the beginning of a sentence: `Claiming sagas`. */
  readonly what: string;
  /** The pause after the first failure, in milliseconds. */
  readonly firstMs: number;
  /** The longest pause, in milliseconds. Default 10,000. */
  readonly maxMs?: number;
  /** A random number from 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Called for every failure, for metrics. */
  readonly onFailure?: (failure: StoreFailure) => void;
}

const LONGEST_MS = 10_000;
/** While the failure stays the same, it is logged again after this time. */
const SAY_AGAIN_MS = 60_000;
/** From this many failures in a row on they are reported as a problem, whatever their kind. */
const ACCIDENTS = 3;

/**
 * Follows the failures of work that is done again and again: it says how long to pause, logs failures,
 * and reports a problem for readiness. The pause grows and is partly random. A line is logged when the
 * work begins to fail, when the reason changes, every minute while it does not, and when the work
 * succeeds again; failures in between are not logged.
 */
export class RepeatedFailure {
  readonly #options: RepeatedFailureOptions;
  #failures = 0;
  #current: { readonly kind: StoreFailure; readonly text: string } | null = null;
  #saidAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: RepeatedFailureOptions) {
    this.#options = options;
  }

  /** Whether the last try was refused in a way that only a person can change. */
  get refused(): boolean {
    return this.#current?.kind === 'refused';
  }

  /** Whole milliseconds that are left of the pause after the last failure; 0 if there is no pause. */
  get pauseLeftMs(): number {
    // Rounded up, because a timer for the rest that rounding leaves would fire before the pause is over.
    return Math.max(0, Math.ceil(this.#pausedUntil - this.#options.clock.now()));
  }

  /**
   * The problem, for readiness; null while the work succeeds, and after one or two failures that are
   * no refusals.
   */
  get problem(): string | null {
    if (this.#current === null) return null;
    if (this.#current.kind !== 'refused' && this.#failures < ACCIDENTS) return null;
    return `${this.#options.what} fails: ${this.#current.text}`;
  }

  /** Notes a failure. Returns the milliseconds to pause before the next try. */
  failed(error: unknown): number {
    const { clock, firstMs, maxMs = LONGEST_MS, random = Math.random } = this.#options;
    const full = Math.min(firstMs * 2 ** Math.min(this.#failures, 30), maxMs);
    this.#failures += 1;
    const kind = storeFailureOf(error);
    this.#options.onFailure?.(kind);
    this.#say(kind, errorMessage(error));
    // Half of the pause is fixed and half is random, so that processes which failed together do not
    // try again together.
    const pauseMs = full / 2 + (random() * full) / 2;
    this.#pausedUntil = clock.now() + pauseMs;
    return pauseMs;
  }

  /** Notes a success. */
  worked(): void {
    if (this.#current === null) return;
    const { logger, what } = this.#options;
    logger.info(`${what} works again.`, { failures: this.#failures });
    this.#failures = 0;
    this.#current = null;
    this.#saidAt = Number.NEGATIVE_INFINITY;
    this.#pausedUntil = Number.NEGATIVE_INFINITY;
  }

  #say(kind: StoreFailure, text: string): void {
    const { clock, logger, what } = this.#options;
    // By its kind where nobody answers: which socket error it is changes from try to try.
    const changed =
      this.#current === null ||
      this.#current.kind !== kind ||
      (kind !== 'away' && this.#current.text !== text);
    this.#current = { kind, text };
    if (!changed && clock.now() - this.#saidAt < SAY_AGAIN_MS) return;
    this.#saidAt = clock.now();
    const fields = { error: text, failures: this.#failures };
    if (kind === 'refused') {
      logger.error(
        `${what} is refused, and will be refused until a person changes that; it is tried again from time to time.`,
        fields,
      );
    } else {
      logger.warn(`${what} failed; it is tried again.`, fields);
    }
  }
}
