import type { Clock } from '@sagaz/core';

/** The answer did not come in time; it is still waited for, and the question not asked again. */
const LATE = Symbol('late');

export interface RecentAnswerOptions {
  readonly clock: Clock;
  /** Answers are given out again for so long, in ms: scrapers are many, and looking is not free. */
  readonly keepMs: number;
  /** Whoever asks waits no longer than this, in ms: a scrape is given up after some ten seconds. */
  readonly withinMs: number;
  /** Called once when answers begin to fail, and again only after one came. */
  readonly failed: (error: unknown) => void;
}

/**
 * A question to a server, asked when somebody wants to know. At most one is under way, so that a server
 * that hangs is not given one more with every scrape.
 */
export class RecentAnswer<T> {
  readonly #ask: () => Promise<T>;
  readonly #options: RecentAnswerOptions;
  #asked: Promise<T | undefined> | null = null;
  #last: { readonly at: number; readonly answer: T } | null = null;
  #failing = false;

  constructor(ask: () => Promise<T>, options: RecentAnswerOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  /** Undefined: there is no answer now. Never rejects. */
  async now(): Promise<T | undefined> {
    const { clock, keepMs, withinMs } = this.#options;
    if (this.#last !== null && clock.now() - this.#last.at < keepMs) return this.#last.answer;
    this.#asked ??= this.#question();
    let cancel = (): void => undefined;
    const late = new Promise<typeof LATE>((resolve) => {
      const timer = clock.after(withinMs, () => resolve(LATE));
      cancel = () => timer.cancel();
    });
    const answer = await Promise.race([this.#asked, late]);
    cancel();
    if (answer !== LATE) return answer;
    this.#fail(new Error(`no answer within ${String(withinMs)} ms`));
    return undefined;
  }

  async #question(): Promise<T | undefined> {
    try {
      const answer = await this.#ask();
      this.#last = { at: this.#options.clock.now(), answer };
      this.#failing = false;
      return answer;
    } catch (error) {
      this.#fail(error);
      return undefined;
    } finally {
      this.#asked = null;
    }
  }

  #fail(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#options.failed(error);
  }
}
