import { placeOfKey, type OutboxMessage } from '@sagaz/core';
import { Prepared, type SchemaName, type Statement } from '../connection/index.js';
import { bytes } from '../slots/index.js';
import { DEFAULT_QUEUE } from './default-queue.js';
import { keyLocks, LOCK_SPACE } from './key-locks.js';
import { outboxArrays } from './outbox-columns.js';

/**
 * The statements that write messages in one round trip: locks, then numbers, then rows, always in this
 * order. They are prepared, because an append delays every business transaction that publishes.
 */
export class AppendSql {
  readonly #one: Prepared;
  readonly #guestOne: Prepared;
  readonly #many: Prepared;

  constructor(schema: SchemaName) {
    this.#one = new Prepared(insertOne(schema, false));
    this.#guestOne = new Prepared(insertOne(schema, true));
    this.#many = new Prepared(
      `SELECT ${schema.quoted}.outbox_append_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
    );
  }

  /** @param deferred whether the transaction belongs to a caller and may have deferred constraints */
  statement(messages: readonly OutboxMessage[], deferred: boolean): Statement {
    const [only] = messages;
    if (only !== undefined && messages.length === 1 && only.ordered && only.delayMs <= 0) {
      return (deferred ? this.#guestOne : this.#one).with(valuesOfOne(only));
    }
    const locks = keyLocks(messages);
    return this.#many.with([
      deferred,
      locks.slots,
      locks.keys,
      locks.exclusively,
      ...outboxArrays(messages),
    ]);
  }
}

/**
 * The statement for one message that takes its place in its key now, the usual case. It calls no
 * function, which would double its cost.
 *
 * The number is the first value of the row, and CASE, unlike AND, is evaluated in the order it is
 * written in (PostgreSQL manual, 4.2.14): deferred constraints, the lock of the slot, that of the key,
 * the transaction id, and only then the number.
 */
function insertOne(schema: SchemaName, deferred: boolean): string {
  const { quoted } = schema;
  const steps = [
    ...(deferred ? [`${quoted}.constraints_checked()`] : []),
    `pg_advisory_xact_lock_shared(${LOCK_SPACE.slots}, $1::integer) IS NOT NULL`,
    `pg_advisory_xact_lock(${LOCK_SPACE.keys}, $2::integer) IS NOT NULL`,
    'pg_current_xact_id() IS NOT NULL',
  ];
  const number = steps.reduceRight(
    (then, step) => `CASE WHEN ${step} THEN ${then} END`,
    `nextval('${quoted}.message_seq')`,
  );
  return `INSERT INTO ${quoted}.message
      (seq, queue, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
    VALUES (${number}, ${String(DEFAULT_QUEUE.number)}, $1::integer, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`;
}

function valuesOfOne(message: OutboxMessage): unknown[] {
  const place = placeOfKey(message.tenant, message.topic, message.key);
  return [
    place.slot,
    place.lock,
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
  ];
}
