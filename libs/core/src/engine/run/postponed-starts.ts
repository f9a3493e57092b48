import { TaskMap, type TaskRef } from '../journal/index.js';

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;
/** After so long without another pause the next one is short again, in milliseconds. */
const FORGOTTEN_MS = 300_000;

/**
 * The tasks of a saga that are not started for a moment, because the saga's row was locked. Their starts
 * could not be journaled, or their commits, and they would hold permits meanwhile that steps of other
 * sagas lack. The pauses grow.
 */
export class PostponedStarts {
  readonly #until = new TaskMap<number>();
  #times = 0;
  #latest = 0;
  #rowLocked = false;

  /** Whether no transition of the saga was committed since a start had to be postponed. */
  get rowLocked(): boolean {
    return this.#rowLocked;
  }

  /** @param now by the store's clock, in milliseconds since 1970 */
  postpone(tasks: readonly TaskRef[], now: number): void {
    if (now > this.#latest + FORGOTTEN_MS) this.#times = 0;
    this.#latest = now + Math.min(FIRST_PAUSE_MS * 2 ** this.#times, LONGEST_PAUSE_MS);
    this.#times = Math.min(this.#times + 1, 16);
    this.#rowLocked = true;
    for (const task of tasks) this.#until.set(task, this.#latest);
  }

  /** A transition of the saga was committed. */
  committed(): void {
    this.#rowLocked = false;
  }

  /** Until when the task is not started, by the store's clock; 0: it may be. */
  until(task: TaskRef): number {
    // This is asked for every start of every step.
    return this.#until.empty ? 0 : (this.#until.get(task) ?? 0);
  }
}
