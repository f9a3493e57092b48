import { placeOfKey } from '../messaging/index.js';
import type { Message } from '../ports/index.js';
import type { MemoryQueueLocks } from './memory-queue-locks.js';
import type { MemoryQueueRows } from './memory-queue-rows.js';
import type { MemoryTransaction } from './memory-transaction.js';

export interface NewRow {
  readonly message: Message;
  readonly ordered: boolean;
  readonly delayMs: number;
}

/**
 * Writes rows in the order given. The locks of all their keys are taken first, in one global order,
 * and the numbers are drawn only then. So a reader that sees a later row of a key sees every earlier
 * one, and two writers of the same keys never wait for each other in a circle.
 */
export async function appendRows(
  rows: MemoryQueueRows,
  locks: MemoryQueueLocks,
  added: readonly NewRow[],
  transaction: MemoryTransaction,
  now: number,
): Promise<void> {
  const wanted = new Set<string>();
  for (const { message, ordered, delayMs } of added) {
    if (ordered && delayMs <= 0) wanted.add(locks.key(message));
  }
  for (const lock of [...wanted].sort()) await transaction.lock(lock);
  // The transaction id comes first: readers wait for transactions by id, so a number drawn before it
  // could be missed.
  rows.begin(transaction);
  for (const { message, ordered, delayMs } of added) {
    const delayed = delayMs > 0;
    const seq = delayed ? null : rows.nextSeq();
    rows.table.set(
      seq ?? rows.nextDelayedKey(),
      {
        seq,
        slot: placeOfKey(message.tenant, message.topic, message.key).slot,
        status: delayed ? 'delayed' : 'pending',
        attempts: 0,
        ordered,
        message: copyOf(message),
        writtenAt: now,
        dueAt: now + Math.max(0, delayMs),
        error: '',
        reason: '',
        blocks: false,
        diedAt: null,
      },
      transaction,
    );
  }
}

/** A copy of the message, bytes included, because the caller may change its own afterwards. */
export function copyOf(message: Message): Message {
  return {
    id: message.id,
    tenant: message.tenant,
    topic: message.topic,
    key: message.key,
    type: message.type,
    source: message.source,
    time: message.time,
    contentType: message.contentType,
    payload: Uint8Array.from(message.payload),
    headers: { ...message.headers },
  };
}
