import type { Clock } from '@sagaz/core';

export interface RecentAnswerOptions {
  readonly clock: Clock;
  /** Answers are given out again for so long, in ms: those who ask are many, and looking is not free. */
  readonly keepMs: number;
  /** The longest wait of a caller, in ms, because probes and scrapes have time limits of their own. */
  readonly withinMs: number;
  /** Called once when answers begin to fail, and again only after one came. */
  readonly failed?: (error: unknown) => void;
}

export type Answer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  /** It failed, or did not come in time. */
  | { readonly kind: 'none'; readonly error: unknown };

/**
 * A question to a server, asked when somebody wants to know. At most one is under way, so that a server
 * that hangs is not given one more with every probe.
 */
export class RecentAnswer<T> {
  readonly #ask: () => Promise<T>;
  readonly #options: RecentAnswerOptions;
  #asked: Promise<Answer<T>> | null = null;
  #last: { readonly at: number; readonly value: T } | null = null;
  #failing = false;

  constructor(ask: () => Promise<T>, options: RecentAnswerOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  /** Never rejects. */
  async now(): Promise<Answer<T>> {
    const { clock, keepMs, withinMs } = this.#options;
    if (this.#last !== null && clock.now() - this.#last.at < keepMs) {
      return { kind: 'answer', value: this.#last.value };
    }
    // One that is late is still waited for, and the question not asked again.
    this.#asked ??= this.#question();
    let cancel = (): void => undefined;
    const late = new Promise<Answer<T>>((resolve) => {
      const timer = clock.after(withinMs, () => {
        const error = new Error(`no answer within ${String(withinMs)} ms`);
        this.#fail(error);
        resolve({ kind: 'none', error });
      });
      cancel = () => {
        timer.cancel();
      };
    });
    const answer = await Promise.race([this.#asked, late]);
    cancel();
    return answer;
  }

  async #question(): Promise<Answer<T>> {
    try {
      const value = await this.#ask();
      this.#last = { at: this.#options.clock.now(), value };
      this.#failing = false;
      return { kind: 'answer', value };
    } catch (error) {
      this.#fail(error);
      return { kind: 'none', error };
    } finally {
      this.#asked = null;
    }
  }

  #fail(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#options.failed?.(error);
  }
}
