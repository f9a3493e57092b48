import type { OutboxMessage } from '@sagaz/core';
import type { SchemaName } from '../connection/index.js';
import { LANES, messageArrays, slotsOf } from '../slots/index.js';
import { DEFAULT_QUEUE } from './default-queue.js';

/** Parameters of {@link outboxInsert}, in order: one array per column. */
const PARAMETERS = [
  ['owner', 'integer[]'],
  ['queue', 'integer[]'],
  ['slot', 'integer[]'],
  ['ordered', 'boolean[]'],
  ['delay_ms', 'bigint[]'],
  ['id', 'text[]'],
  ['tenant', 'text[]'],
  ['topic', 'text[]'],
  ['key', 'text[]'],
  ['type', 'text[]'],
  ['source', 'text[]'],
  ['time', 'text[]'],
  ['content_type', 'text[]'],
  ['headers', 'text[]'],
  ['payload', 'bytea[]'],
] as const;

/**
 * An INSERT of messages as part of a larger statement, without key locks. It is for messages whose
 * order is ensured by other means, such as the commands of a saga, which the lock of its row puts in
 * order.
 *
 * The messages are the row source `m`, and `m.owner` says which of the statement's subjects each
 * belongs to; `join` (`JOIN changed ON changed.place = m.owner`) keeps those that may be written.
 * Joined to rows that a writing part of the statement returns, numbers are drawn after its row locks.
 * The order is that of the arrays.
 *
 * @param first number of the first parameter; the following ones are consecutive
 */
export function outboxInsert(schema: SchemaName, first: number, join = ''): string {
  const arrays = PARAMETERS.map(([, type], i) => `$${String(first + i)}::${type}`).join(', ');
  const names = PARAMETERS.map(([name]) => name).join(', ');
  return `INSERT INTO ${schema.quoted}.message
      (queue, lane, due_at, slot, ordered, id, tenant, topic, key, type, source, time, content_type, headers, payload)
    SELECT
      m.queue, CASE WHEN m.delay_ms > 0 THEN ${String(LANES.delayed)} ELSE ${String(LANES.pending)} END,
      CASE WHEN m.delay_ms > 0 THEN clock_timestamp() + m.delay_ms * interval '1 millisecond' END,
      m.slot, m.ordered, m.id, m.tenant, m.topic, m.key, m.type, m.source, m.time, m.content_type,
      m.headers::json, m.payload
    FROM unnest(${arrays}) WITH ORDINALITY AS m (${names}, place)
    ${join}
    ORDER BY m.place`;
}

/** The values of {@link outboxInsert}: message `i` belongs to `owners[i]`. */
export function outboxInsertValues(
  messages: readonly OutboxMessage[],
  owners: readonly number[],
): unknown[] {
  return [[...owners], ...outboxArrays(messages)];
}

/** The columns of messages as arrays: queue, slot, ordered, delay, then what every message has. */
export function outboxArrays(messages: readonly OutboxMessage[]): unknown[] {
  return [
    messages.map(() => DEFAULT_QUEUE.number),
    slotsOf(messages),
    messages.map((m) => m.ordered),
    messages.map((m) => Math.max(0, Math.ceil(m.delayMs))),
    ...messageArrays(messages),
  ];
}
