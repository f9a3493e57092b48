import { RepeatedFailure, type RepeatedFailureOptions } from './repeated-failure.js';

/**
 * A failure that was not repeated for this long is forgotten, in milliseconds: the work may have been
 * withdrawn, or done by another process.
 */
const FORGET_AFTER_MS = 120_000;
/** How many pieces of work are followed at once; the ones that failed first are forgotten. */
const MOST = 1_000;

interface Failing {
  readonly failure: RepeatedFailure;
  error: unknown;
  lastAt: number;
}

/**
 * Follows failures of many pieces of work, each as {@link RepeatedFailure} does. Each piece is named by
 * its `what`, and is remembered only while it fails.
 */
export class RepeatedFailures {
  readonly #options: Omit<RepeatedFailureOptions, 'what'>;
  readonly #failing = new Map<string, Failing>();

  constructor(options: Omit<RepeatedFailureOptions, 'what'>) {
    this.#options = options;
  }

  /** Whether nothing fails. */
  get empty(): boolean {
    return this.#failing.size === 0;
  }

  /** One of the problems in words, for readiness; null: nothing has failed lately. */
  get problem(): string | null {
    for (const failing of this.#failing.values()) {
      const { problem } = failing.failure;
      if (problem !== null && !this.#isOld(failing)) return problem;
    }
    return null;
  }

  /** The last error of a piece of work and the milliseconds that are left of its pause; null: it works. */
  of(what: string): { readonly error: unknown; readonly pauseLeftMs: number } | null {
    const failing = this.#recent(what);
    if (failing === undefined) return null;
    return { error: failing.error, pauseLeftMs: failing.failure.pauseLeftMs };
  }

  /**
   * Notes a failure. Returns the milliseconds to pause before the next try. Failures of tries that ran at
   * the same time, whose pause has begun already, do not make it longer.
   */
  failed(what: string, error: unknown): number {
    const failing = this.#recent(what) ?? this.#begin(what);
    failing.error = error;
    failing.lastAt = this.#options.clock.now();
    const { failure } = failing;
    return failure.pauseLeftMs > 0 ? failure.pauseLeftMs : failure.failed(error);
  }

  /** Notes a success. */
  worked(what: string): void {
    this.#failing.get(what)?.failure.worked();
    this.#failing.delete(what);
  }

  #isOld({ lastAt }: Failing): boolean {
    return this.#options.clock.now() - lastAt >= FORGET_AFTER_MS;
  }

  /** The failure of a piece of work, which is forgotten here if it is old. */
  #recent(what: string): Failing | undefined {
    const failing = this.#failing.get(what);
    if (failing === undefined || !this.#isOld(failing)) return failing;
    this.#failing.delete(what);
    return undefined;
  }

  #begin(what: string): Failing {
    for (const [other, failing] of this.#failing) {
      if (this.#isOld(failing)) this.#failing.delete(other);
    }
    const failing: Failing = {
      failure: new RepeatedFailure({ ...this.#options, what }),
      error: null,
      lastAt: 0,
    };
    this.#failing.set(what, failing);
    const [first] = this.#failing.keys();
    if (this.#failing.size > MOST && first !== undefined) this.#failing.delete(first);
    return failing;
  }
}
