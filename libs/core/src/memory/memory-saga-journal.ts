import type { Clock, JournalEntry, RecordedEntry } from '../ports/index.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** The journals of sagas. */
export class MemorySagaJournal {
  readonly #clock: Clock;
  readonly #bySaga = new Map<string, RecordedEntry[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): ReadonlyMap<string, readonly RecordedEntry[]> {
    return this.#bySaga;
  }

  of(sagaId: string): readonly RecordedEntry[] {
    return [...(this.#bySaga.get(sagaId) ?? [])];
  }

  delete(sagaId: string): void {
    this.#bySaga.delete(sagaId);
  }

  record(
    sagaId: string,
    revision: number,
    transition: { readonly id: string; readonly entries: readonly JournalEntry[] },
    transaction: MemoryTransaction,
  ): void {
    const { id: transitionId, entries } = transition;
    const recordedAt = this.#clock.date();
    transaction.stage(() => {
      const journal = this.#bySaga.get(sagaId) ?? [];
      entries.forEach((entry, ordinal) => {
        journal.push({ ...entry, revision, ordinal, transitionId, recordedAt });
      });
      this.#bySaga.set(sagaId, journal);
    });
  }
}
