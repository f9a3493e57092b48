import { propertyOf } from '../../errors/index.js';
import type { FactOf } from './engine-fact.js';
import type { SeldomLog } from './seldom-log.js';

/**
 * Is called in place of the method of an attempt and calls it by `work()`, so that a span, or another
 * context of `AsyncLocalStorage`, is there while the method runs. Where a transaction runs again, it is
 * called again for the same attempt.
 *
 * It must call `work()` once, before it returns. The promise of `work()` settles as that of the method does,
 * and its outcome is that of the attempt: what this function returns has no effect. Where it throws, does
 * not call `work()`, or calls it again, the method runs once all the same, and the fault is logged.
 */
export type AroundAttempt = (
  attempt: FactOf<'attempt_began'>,
  work: () => Promise<unknown>,
) => unknown;

/** A function around attempts, guarded: whatever it does, the work runs exactly once. */
export class AttemptWrapper {
  readonly #around: AroundAttempt;
  readonly #faults: SeldomLog;

  constructor(around: AroundAttempt, faults: SeldomLog) {
    this.#around = around;
    this.#faults = faults;
  }

  /**
   * Returns the promise of the work.
   *
   * @param work - must not throw; its promise may reject
   */
  run(attempt: FactOf<'attempt_began'>, work: () => Promise<unknown>): Promise<unknown> {
    const ran = new Once(work);
    const once = (): Promise<unknown> => {
      if (ran.begun) this.#fault('called its work more than once, or too late');
      return ran.result;
    };
    let returned: unknown;
    try {
      returned = this.#around(attempt, once);
    } catch (error) {
      this.#fault('threw', error);
    }
    if (!ran.begun) this.#fault('did not call its work before it returned');
    this.#watch(returned, ran.result);
    return ran.result;
  }

  /** A rejection that is not that of the work is a fault, and none may stay unhandled. */
  #watch(returned: unknown, result: Promise<unknown>): void {
    if (returned === result || typeof propertyOf(returned, 'then') !== 'function') return;
    const failed = (error: unknown): void => {
      const fault = (): void => this.#fault('rejected', error);
      void result.then(fault, (cause: unknown) => {
        if (cause !== error) fault();
      });
    };
    void Promise.resolve(returned).then(undefined, failed);
  }

  #fault(what: string, error?: unknown): void {
    this.#faults.error(
      `A function around attempts ${what}; the method of each attempt runs once all the same.`,
      error,
    );
  }
}

/** Work that begins when its result is first asked for. */
class Once {
  #result: Promise<unknown> | null = null;
  readonly #work: () => Promise<unknown>;

  constructor(work: () => Promise<unknown>) {
    this.#work = work;
  }

  get begun(): boolean {
    return this.#result !== null;
  }

  get result(): Promise<unknown> {
    return (this.#result ??= this.#work());
  }
}
