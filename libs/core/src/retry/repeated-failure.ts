import { errorMessage, storeFailureOf, type StoreFailure } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';

export interface RepeatedFailureOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What fails, as the beginning of a sentence: `Claiming sagas`. */
  readonly what: string;
  /** Pause after the first failure. */
  readonly firstMs: number;
  /** No pause is longer. Default 10,000. */
  readonly maxMs?: number;
  /** 0 … 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Told of every failure, for metrics. */
  readonly onFailure?: (failure: StoreFailure) => void;
}

const LONGEST_MS = 10_000;
/** While nothing changes, it is said again so often. */
const SAY_AGAIN_MS = 60_000;
/** So many failures in a row are no accident, whatever the reason. */
const ACCIDENTS = 3;

/**
 * Something that is done over and over, and fails: how long to pause, when to say so, what readiness is
 * told. The pause grows and is jittered. A line is written when it begins to fail, when the reason
 * changes, every minute while it does not, and when it works again; never one for each try.
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

  /** Milliseconds that are left of the pause after the last failure; 0: none. */
  get pauseLeftMs(): number {
    return Math.max(0, this.#pausedUntil - this.#options.clock.now());
  }

  /** Null while it works, or failed by accident; otherwise what is wrong, for readiness. */
  get problem(): string | null {
    if (this.#current === null) return null;
    if (this.#current.kind !== 'refused' && this.#failures < ACCIDENTS) return null;
    return `${this.#options.what} fails: ${this.#current.text}`;
  }

  /** Notes a failure; milliseconds to pause before the next try. */
  failed(error: unknown): number {
    const { clock, firstMs, maxMs = LONGEST_MS, random = Math.random } = this.#options;
    const full = Math.min(firstMs * 2 ** Math.min(this.#failures, 30), maxMs);
    this.#failures += 1;
    const kind = storeFailureOf(error);
    this.#options.onFailure?.(kind);
    this.#say(kind, errorMessage(error));
    // Half fixed, half random: processes that failed together do not come back together.
    const pauseMs = full / 2 + (random() * full) / 2;
    this.#pausedUntil = clock.now() + pauseMs;
    return pauseMs;
  }

  /** It worked. */
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
