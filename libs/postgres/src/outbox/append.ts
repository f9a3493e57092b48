import { placeOfKey, type OutboxMessage } from '@sagaz/core';
import type { SchemaName, Statement } from '../connection/index.js';
import { bytes } from '../slots/index.js';
import { outboxArrays } from './outbox-columns.js';

/**
 * Beyond this many keys a transaction locks whole slots. PostgreSQL's lock table is of a fixed size
 * and shared by all transactions of the server: 20,000 keys of one transaction fill it, and then
 * everybody's statements fail.
 */
const KEYS_LOCKED_ONE_BY_ONE = 64;

/** Locks in the order in which they are taken. */
interface KeyLocks {
  readonly slots: readonly number[];
  readonly keys: readonly number[];
  readonly exclusively: boolean;
}

/**
 * The locks that put messages in order. All transactions take slots ascending and then keys
 * ascending, each once, so that no two can wait for each other.
 */
export function keyLocks(
  messages: readonly Pick<OutboxMessage, 'tenant' | 'topic' | 'key' | 'ordered' | 'delayMs'>[],
): KeyLocks {
  const slots = new Set<number>();
  const keys = new Set<number>();
  for (const message of messages) {
    // What is delayed takes its place in its key when its time has come.
    if (!message.ordered || message.delayMs > 0) continue;
    const place = placeOfKey(message.tenant, message.topic, message.key);
    slots.add(place.slot);
    keys.add(place.lock);
  }
  const exclusively = keys.size > KEYS_LOCKED_ONE_BY_ONE;
  return {
    slots: [...slots].sort(ascending),
    keys: exclusively ? [] : [...keys].sort(ascending),
    exclusively,
  };
}

/**
 * Writes messages in one round trip: locks, then numbers, then rows, inside one function of the
 * database, where nobody can put them in another order.
 *
 * @param guest the transaction is a caller's, and may hold deferred constraints
 */
export function appendStatement(
  schema: SchemaName,
  messages: readonly OutboxMessage[],
  guest: boolean,
): Statement {
  const [only] = messages;
  if (only !== undefined && messages.length === 1) return appendOne(schema, only, guest);
  const locks = keyLocks(messages);
  return {
    text: `SELECT ${schema.quoted}.outbox_append_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    values: [guest, locks.slots, locks.keys, locks.exclusively, ...outboxArrays(messages)],
  };
}

function appendOne(schema: SchemaName, message: OutboxMessage, guest: boolean): Statement {
  const place = placeOfKey(message.tenant, message.topic, message.key);
  const takesPlace = message.ordered && message.delayMs <= 0;
  return {
    text: `SELECT ${schema.quoted}.outbox_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    values: [
      guest,
      place.slot,
      takesPlace ? place.lock : null,
      message.ordered,
      Math.max(0, Math.ceil(message.delayMs)),
      message.id,
      message.tenant,
      message.topic,
      message.key,
      message.type,
      message.source,
      message.time,
      message.contentType,
      JSON.stringify(message.headers),
      bytes(message.payload),
    ],
  };
}

function ascending(a: number, b: number): number {
  return a - b;
}
