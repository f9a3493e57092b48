import type { Clock } from '@sagaz/core';

export interface RecentAnswerOptions<T = unknown> {
  readonly clock: Clock;
  /** How long an answer is reused, in ms, because there are many callers and a question has a cost. */
  readonly keepMs: number;
  /** The longest wait of a caller, in ms, because probes and scrapes have time limits of their own. */
  readonly withinMs: number;
  /** Whether an answer is reused. Default: every one is. */
  readonly keeps?: (value: T) => boolean;
  /** Called once when answers begin to fail, and again only after one has succeeded. */
  readonly failed?: (error: unknown) => void;
}

export type Answer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  /** The question failed, or was not answered in time. */
  | { readonly kind: 'none'; readonly error: unknown };

/**
 * Puts a question to a server when a caller wants the answer. At most one question is under way, so
 * that a server that hangs does not get one more with every probe.
 */
export class RecentAnswer<T> {
  readonly #ask: () => Promise<T>;
  readonly #options: RecentAnswerOptions<T>;
  #asked: Promise<Answer<T>> | null = null;
  #last: { readonly at: number; readonly value: T } | null = null;
  #failing = false;

  constructor(ask: () => Promise<T>, options: RecentAnswerOptions<T>) {
    this.#ask = ask;
    this.#options = options;
  }

  /** Returns a recent answer, or asks for a new one. Never rejects. */
  async now(): Promise<Answer<T>> {
    const { clock, keepMs, withinMs } = this.#options;
    if (this.#last !== null && clock.now() - this.#last.at < keepMs) {
      return { kind: 'answer', value: this.#last.value };
    }
    // The question is not asked again while an earlier one is unanswered, even if that is late.
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
      const { clock, keeps } = this.#options;
      this.#last = keeps?.(value) === false ? null : { at: clock.now(), value };
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
