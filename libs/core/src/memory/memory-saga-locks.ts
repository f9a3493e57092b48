import { LockTimeoutError } from '../errors/index.js';
import type { JournalEntry, NewSaga, OutboxMessage } from '../ports/index.js';
import { MemoryQueueLocks } from './memory-queue-locks.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** How long {@link lockedSoon} waits, in milliseconds. */
const SOON_MS = 1_000;
const outbox = new MemoryQueueLocks('outbox');
const NOT_STORABLE = /\0|[\uD800-\uDFFF]/u;

/** The refusal of entries whose text a database cannot store; null if it can store all of them. */
export function refusal(
  entries: readonly JournalEntry[],
): { kind: 'rejected'; error: unknown } | null {
  for (const { kind, data } of entries) {
    if (data === null || !NOT_STORABLE.test(data)) continue;
    return { kind: 'rejected', error: new Error(`The data of "${kind}" is no text.`) };
  }
  return null;
}

/** The names of the locks that keep messages in order, which publishers take too. */
export function placesOf(messages: readonly OutboxMessage[]): readonly string[] {
  const ordered = messages.filter(({ ordered, delayMs }) => ordered && delayMs <= 0);
  return [...new Set(ordered.map((message) => outbox.key(message)))].sort();
}

/** The unique key of a saga; without an idempotency key it is the id. */
export function keyOf(saga: NewSaga): string {
  return saga.key === null ? `id\0${saga.id}` : `${saga.tenant}\0${saga.name}\0${saga.key}`;
}

/** The names that a start locks, as unique indexes do: those of its key and of its id. */
export function locksOf(saga: NewSaga): readonly string[] {
  return [...new Set([keyOf(saga), `id\0${saga.id}`])].map((name) => `saga-key:${name}`);
}

/** Waits a moment for a lock, at the end of a caller's transaction. False: another one holds it. */
export async function lockedSoon(transaction: MemoryTransaction, name: string): Promise<boolean> {
  try {
    await transaction.lock(name, { waitMs: SOON_MS });
    return true;
  } catch (error) {
    if (error instanceof LockTimeoutError) return false;
    throw error;
  }
}
