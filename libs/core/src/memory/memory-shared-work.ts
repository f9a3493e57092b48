import type { Clock, KeptCounts, SharedTask, StoreCounts } from '../ports/index.js';

/** What one process does for all: whose turn it is, and what was counted. */
export class MemorySharedWork {
  readonly #clock: Clock;
  readonly #dueAt = new Map<SharedTask, number>();
  #kept: { readonly counts: StoreCounts; readonly at: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a task is due; if so, the caller has the turn, and the next one is due after `everyMs` milliseconds. */
  takeTurn(task: SharedTask, everyMs: number): Promise<boolean> {
    const now = this.#clock.now();
    const due = (this.#dueAt.get(task) ?? Number.NEGATIVE_INFINITY) <= now;
    if (due) this.#dueAt.set(task, now + everyMs);
    return Promise.resolve(due);
  }

  keepCounts(counts: StoreCounts): Promise<void> {
    this.#kept = { counts, at: this.#clock.now() };
    return Promise.resolve();
  }

  keptCounts(): Promise<KeptCounts | null> {
    if (this.#kept === null) return Promise.resolve(null);
    const { counts, at } = this.#kept;
    return Promise.resolve({ ...counts, ageMs: this.#clock.now() - at });
  }
}
