import { placeOfKey } from '../messaging/index.js';
import type { Message } from '../ports/index.js';
import type { MemoryQueueRows } from './memory-queue-rows.js';
import type { MemoryTransaction } from './memory-transaction.js';

export interface NewRow {
  readonly message: Message;
  readonly ordered: boolean;
  readonly delayMs: number;
}

/**
 * Writes rows in the order given. The locks of their keys are taken first, all at once and in one
 * global order; only then are numbers drawn. So whoever sees a later row of a key sees every earlier
 * one, and two writers with opposing keys never wait for each other in a circle.
 */
export async function appendRows(
  rows: MemoryQueueRows,
  added: readonly NewRow[],
  transaction: MemoryTransaction,
  now: number,
): Promise<void> {
  const locks = new Set<string>();
  for (const { message, ordered, delayMs } of added) {
    if (ordered && delayMs <= 0) locks.add(lockOfKey(message));
  }
  for (const lock of [...locks].sort()) await transaction.lock(lock);
  // The id first: a number that is drawn before it could not be waited for.
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

/** The name under which the key of a message is locked. */
export function lockOfKey({ tenant, topic, key }: Message): string {
  const place = placeOfKey(tenant, topic, key);
  return `key:${place.slot.toString().padStart(3, '0')}:${place.lock}`;
}

/** What the caller does with its bytes afterwards is its own business. */
function copyOf(message: Message): Message {
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
