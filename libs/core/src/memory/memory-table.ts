import type { MemoryTransaction } from './memory-transaction.js';

/**
 * Rows by key, with READ COMMITTED visibility: what a transaction wrote is seen by itself at once
 * and by others after its commit. Rows are replaced, never changed in place. Locks are separate:
 * a writer that must exclude others takes one first (`transaction.lock`).
 */
export class MemoryTable<Row> {
  readonly #rows = new Map<string, Row>();
  readonly #changed:
    ((key: string, before: Row | undefined, after: Row | undefined) => void) | null;
  readonly #written = new WeakMap<MemoryTransaction, Map<string, Row | undefined>>();

  /** `changed` is called at the commit for each changed row, to update an index. */
  constructor(
    changed: ((key: string, before: Row | undefined, after: Row | undefined) => void) | null = null,
  ) {
    this.#changed = changed;
  }

  get(key: string, transaction?: MemoryTransaction): Row | undefined {
    const own = transaction === undefined ? undefined : this.#written.get(transaction);
    return own?.has(key) === true ? own.get(key) : this.#rows.get(key);
  }

  set(key: string, row: Row, transaction: MemoryTransaction): void {
    this.#overlay(transaction).set(key, row);
  }

  delete(key: string, transaction: MemoryTransaction): void {
    this.#overlay(transaction).set(key, undefined);
  }

  /**
   * The visible rows as [key, row], in an array of their own, so that later changes do not appear in
   * it.
   */
  entries(transaction?: MemoryTransaction): [string, Row][] {
    const own = transaction === undefined ? undefined : this.#written.get(transaction);
    if (own === undefined) return [...this.#rows];
    const merged = new Map(this.#rows);
    for (const [key, row] of own) {
      if (row === undefined) merged.delete(key);
      else merged.set(key, row);
    }
    return [...merged];
  }

  /** The committed rows, without a copy; they must not be used after an `await`. */
  committed(): ReadonlyMap<string, Row> {
    return this.#rows;
  }

  get size(): number {
    return this.#rows.size;
  }

  #overlay(transaction: MemoryTransaction): Map<string, Row | undefined> {
    const known = this.#written.get(transaction);
    if (known !== undefined) return known;
    const overlay = new Map<string, Row | undefined>();
    this.#written.set(transaction, overlay);
    transaction.stage(() => {
      for (const [key, row] of overlay) {
        this.#changed?.(key, this.#rows.get(key), row);
        if (row === undefined) this.#rows.delete(key);
        else this.#rows.set(key, row);
      }
    });
    return overlay;
  }
}
