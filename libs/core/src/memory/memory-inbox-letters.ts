import { checkDeadLetterFilter } from '../ports/index.js';
import type { DeadLetterFilter, InboxDeadLetter, InboxDeath, InboxKey } from '../ports/index.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';

interface Letter {
  readonly key: InboxKey;
  readonly death: InboxDeath;
  readonly cursor: number;
  readonly diedAt: Date;
  /** When its replay is due, by the store's clock; null if it is not being replayed. */
  readonly replayDueAt: number | null;
  readonly replays: number;
}

/** Dead letters of the inbox, by key. */
export class MemoryInboxLetters {
  readonly #rows = new MemoryTable<Letter>();
  #cursor = 0;

  get size(): number {
    return this.#rows.size;
  }

  has(name: string): boolean {
    return this.#rows.committed().has(name);
  }

  isReplaying(name: string, transaction: MemoryTransaction): boolean {
    return (this.#rows.get(name, transaction)?.replayDueAt ?? null) !== null;
  }

  put(
    name: string,
    key: InboxKey,
    death: InboxDeath,
    diedAt: Date,
    transaction: MemoryTransaction,
  ): void {
    this.#cursor += 1;
    const letter = { key, death, cursor: this.#cursor, diedAt, replayDueAt: null, replays: 0 };
    this.#rows.set(name, letter, transaction);
  }

  /** Returns false if there is no such letter. */
  requestReplay(name: string, dueAt: number, transaction: MemoryTransaction): boolean {
    const letter = this.#rows.get(name, transaction);
    if (letter === undefined) return false;
    this.#rows.set(name, { ...letter, replayDueAt: dueAt }, transaction);
    return true;
  }

  /** Takes a letter for its replay until `dueAt`; returns null if it is not to be replayed. */
  take(name: string, dueAt: number, transaction: MemoryTransaction): InboxDeadLetter | null {
    const letter = this.#rows.get(name, transaction);
    if (letter === undefined || letter.replayDueAt === null) return null;
    const taken = { ...letter, replayDueAt: dueAt, replays: letter.replays + 1 };
    this.#rows.set(name, taken, transaction);
    return shown(taken);
  }

  /** Returns false if there is no such letter, or it is not to be replayed. */
  postpone(name: string, dueAt: number, transaction: MemoryTransaction): boolean {
    return this.isReplaying(name, transaction) && this.requestReplay(name, dueAt, transaction);
  }

  remove(name: string, transaction: MemoryTransaction): boolean {
    if (this.#rows.get(name, transaction) === undefined) return false;
    this.#rows.delete(name, transaction);
    return true;
  }

  list(filter: DeadLetterFilter): readonly InboxDeadLetter[] {
    checkDeadLetterFilter(filter);
    const { limit = 50 } = filter;
    const after = Number(filter.after ?? 0);
    return this.#sorted()
      .filter(
        ([, { key, death, cursor }]) =>
          cursor > after &&
          (filter.group === undefined || filter.group === key.group) &&
          (filter.topic === undefined || filter.topic === death.message.topic) &&
          (filter.type === undefined || filter.type === death.message.type) &&
          (filter.key === undefined || filter.key === death.message.key),
      )
      .slice(0, limit)
      .map(([, letter]) => shown(letter));
  }

  /** Names of the letters whose replay is due, oldest first. */
  due(groups: readonly string[], now: number): readonly string[] {
    return this.#sorted()
      .filter(
        ([, { key, replayDueAt }]) =>
          replayDueAt !== null && replayDueAt <= now && groups.includes(key.group),
      )
      .map(([name]) => name);
  }

  #sorted(): [string, Letter][] {
    return this.#rows.entries().sort(([, a], [, b]) => a.cursor - b.cursor);
  }
}

function shown({ key, death, cursor, diedAt, replayDueAt, replays }: Letter): InboxDeadLetter {
  return {
    ...death,
    cursor: String(cursor),
    group: key.group,
    diedAt,
    replaying: replayDueAt !== null,
    replays,
  };
}
