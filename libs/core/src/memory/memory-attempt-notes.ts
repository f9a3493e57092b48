import type { Clock, InboxAttempts, InboxKey } from '../ports/index.js';
import { nameOf, notesLock } from './memory-inbox-locks.js';
import { pruneTable } from './memory-pruning.js';
import { renameRows } from './memory-renaming.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

interface Notes extends InboxAttempts {
  readonly at: number;
}

const NOTHING_NOTED: InboxAttempts = { failures: 0, timeouts: 0, starts: 0, crashes: 0 };

/** The counts of messages' attempts. */
export class MemoryAttemptNotes {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #rows = new MemoryTable<Notes>();

  constructor(transactions: MemoryTransactions, clock: Clock) {
    this.#transactions = transactions;
    this.#clock = clock;
  }

  read(key: InboxKey): InboxAttempts {
    const { failures, timeouts, starts, crashes } = this.#rows.get(nameOf(key)) ?? NOTHING_NOTED;
    return { failures, timeouts, starts, crashes };
  }

  /** Changes the counts of a message, in a transaction of its own. */
  note(key: InboxKey, change: (before: InboxAttempts) => InboxAttempts): Promise<InboxAttempts> {
    return this.#transactions.within(undefined, async (own) => {
      const name = nameOf(key);
      await own.lock(notesLock(name));
      const { at: _, ...before } = this.#rows.get(name, own) ?? { ...NOTHING_NOTED, at: 0 };
      const noted = change(before);
      this.#rows.set(name, { ...noted, at: this.#clock.now() }, own);
      return noted;
    });
  }

  forget(key: InboxKey, own: MemoryTransaction): void {
    this.#rows.delete(nameOf(key), own);
  }

  /** Gives the rows of a group the name of another one. Returns how many there were. */
  rename(from: string, to: string, own: MemoryTransaction): number {
    return renameRows(this.#rows, from, to, own);
  }

  prune(limit: number, old: number, own: MemoryTransaction): number {
    return pruneTable(this.#rows, limit, ({ at }) => at < old, notesLock, own);
  }
}
