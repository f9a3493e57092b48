import { TaskMap, type TaskRef } from '../journal/index.js';
import type { Attempt } from './attempt.js';
import type { AbortReason } from './attempt-outcome.js';

const NONE: readonly Attempt[] = [];

/** The attempts of a saga whose promises are unsettled in this process, also the abandoned ones. */
export class Attempts implements Iterable<Attempt> {
  /** A task has more than one where earlier ones were abandoned. */
  readonly #byTask = new TaskMap<readonly Attempt[]>();

  get empty(): boolean {
    return this.#byTask.empty;
  }

  add(attempt: Attempt): void {
    const others = this.#of(attempt.start).filter((one) => one !== attempt);
    this.#byTask.set(attempt.start, [...others, attempt]);
  }

  delete(attempt: Attempt): void {
    const left = this.#of(attempt.start).filter((one) => one !== attempt);
    if (left.length > 0) this.#byTask.set(attempt.start, left);
    else this.#byTask.delete(attempt.start);
  }

  /**
   * Whether an attempt of this task has to be waited for. An abandoned one has had its time and is not
   * waited for.
   */
  unsettled(task: TaskRef): boolean {
    return this.#of(task).some(({ abandoned }) => !abandoned);
  }

  abort(task: TaskRef, reason: AbortReason): void {
    for (const attempt of this.#of(task)) attempt.abort(reason);
  }

  abortAll(reason: AbortReason): void {
    for (const attempt of [...this]) attempt.abort(reason);
  }

  releaseAll(): void {
    for (const attempt of [...this]) attempt.release();
  }

  *[Symbol.iterator](): Generator<Attempt> {
    for (const [, attempts] of this.#byTask) yield* attempts;
  }

  #of(task: TaskRef): readonly Attempt[] {
    return this.#byTask.get(task) ?? NONE;
  }
}
