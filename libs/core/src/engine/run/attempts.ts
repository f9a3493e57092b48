import type { TaskRef } from '../journal/index.js';
import type { AbortReason, Attempt } from './attempt.js';

/** The attempts of a saga whose promises are unsettled in this process, also the abandoned ones. */
export class Attempts {
  readonly #all = new Set<Attempt>();

  get size(): number {
    return this.#all.size;
  }

  add(attempt: Attempt): void {
    this.#all.add(attempt);
  }

  delete(attempt: Attempt): void {
    this.#all.delete(attempt);
  }

  /**
   * Whether an attempt of this task has to be waited for. An abandoned one has had its time and is not
   * waited for.
   */
  unsettled(role: string, step: string): boolean {
    for (const { abandoned, start } of this.#all) {
      if (!abandoned && start.step === step && start.role === role) return true;
    }
    return false;
  }

  abort(ref: TaskRef, reason: AbortReason): void {
    for (const attempt of this.#all) {
      const { start } = attempt;
      if (start.role === ref.role && start.step === ref.step) attempt.abort(reason);
    }
  }

  abortAll(reason: AbortReason): void {
    for (const attempt of this.#all) attempt.abort(reason);
  }

  releaseAll(): void {
    for (const attempt of this.#all) attempt.release();
  }

  [Symbol.iterator](): IterableIterator<Attempt> {
    return this.#all.values();
  }
}
