import type { ClaimOptions, ClaimState, Clock, InboxKey } from '../ports/index.js';
import { lockLine, lockMessage, messageLock, nameOf } from './memory-inbox-locks.js';
import type { MemoryLandingQueue } from './memory-landing-queue.js';
import { pruneTable } from './memory-pruning.js';
import { groupOf, renameRows } from './memory-renaming.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';

export type InboxState = 'done' | 'landed' | 'dead';

interface Claim {
  readonly state: InboxState;
  readonly at: number;
}

/** The rows of messages that a group has handled, landed or given up. */
export class MemoryInboxClaims {
  readonly #clock: Clock;
  readonly #rows = new MemoryTable<Claim>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: InboxKey, own: MemoryTransaction): InboxState | undefined {
    return this.#rows.get(nameOf(key), own)?.state;
  }

  set(key: InboxKey, state: InboxState, own: MemoryTransaction): void {
    this.#rows.set(nameOf(key), { state, at: this.#clock.now() }, own);
  }

  /**
   * Locks the key and the message, and only then looks, so that what the transactions before have written is
   * seen.
   */
  async claim(
    key: InboxKey,
    own: MemoryTransaction,
    waitMs: number,
    { line, landed }: ClaimOptions,
    queue: MemoryLandingQueue,
  ): Promise<ClaimState> {
    await lockLine(key, line, own, waitMs);
    await lockMessage(key, own, waitMs);
    const state = this.get(key, own);
    if (landed !== undefined && state === undefined) return 'done';
    if (state !== (landed === undefined ? undefined : 'landed')) return state ?? 'done';
    if (line !== undefined && queue.holds(line, own, landed)) return 'held';
    this.set(key, 'done', own);
    return 'new';
  }

  /** Gives the rows of a group the name of another one. Returns how many there were. */
  rename(from: string, to: string, own: MemoryTransaction): number {
    return renameRows(this.#rows, from, to, own);
  }

  /** Whether the group has rows. */
  has(group: string, own: MemoryTransaction): boolean {
    return this.#rows.entries(own).some(([name]) => groupOf(name) === group);
  }

  prune(limit: number, old: number, own: MemoryTransaction): number {
    return pruneTable(
      this.#rows,
      limit,
      ({ state, at }) => state === 'done' && at < old,
      messageLock,
      own,
    );
  }
}
