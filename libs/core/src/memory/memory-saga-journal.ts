import {
  bytesOf,
  isLarge,
  type Clock,
  type EntryPlace,
  type JournalEntry,
  type RecordedEntry,
} from '../ports/index.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** The journals of sagas. */
export class MemorySagaJournal {
  readonly #clock: Clock;
  readonly #bySaga = new Map<string, RecordedEntry[]>();
  /** The entries whose data is left in the store unless somebody asks for it. */
  readonly #onDemand = new WeakSet<RecordedEntry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): ReadonlyMap<string, readonly RecordedEntry[]> {
    return this.#bySaga;
  }

  of(sagaId: string): readonly RecordedEntry[] {
    return [...(this.#bySaga.get(sagaId) ?? [])];
  }

  /** The journal without the data that is read on demand. */
  withoutLarge(sagaId: string): readonly RecordedEntry[] {
    return this.of(sagaId).map((entry) =>
      this.#onDemand.has(entry) ? { ...entry, data: null, apart: bytesOf(entry.data) } : entry,
    );
  }

  dataOf(sagaId: string, places: readonly EntryPlace[], bytes: number): readonly (string | null)[] {
    const journal = this.#bySaga.get(sagaId) ?? [];
    const read: (string | null)[] = [];
    let sum = 0;
    for (const { revision, ordinal } of places) {
      if (sum >= bytes) break;
      const entry = journal.find((one) => one.revision === revision && one.ordinal === ordinal);
      const data = entry !== undefined && isLarge(entry.data) ? entry.data : null;
      sum += bytesOf(data);
      read.push(data);
    }
    return read;
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
      for (const [ordinal, { onDemand, ...entry }] of entries.entries()) {
        const recorded = { ...entry, revision, ordinal, transitionId, recordedAt };
        journal.push(recorded);
        if (onDemand === true && isLarge(entry.data)) this.#onDemand.add(recorded);
      }
      this.#bySaga.set(sagaId, journal);
    });
  }
}
