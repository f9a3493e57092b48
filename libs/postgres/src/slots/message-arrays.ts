import { placeOfKey, type Message } from '@sagaz/core';

/** The slots of the messages' keys. */
export function slotsOf(messages: readonly Message[]): number[] {
  return messages.map((m) => placeOfKey(m.tenant, m.topic, m.key).slot);
}

/**
 * The columns that every message table has, one array each, from `id` to `payload`.
 *
 * @param json writes the headers of a message
 */
export function messageArrays(
  messages: readonly Message[],
  json: (headers: Message['headers']) => string = JSON.stringify,
): unknown[] {
  return [
    messages.map((m) => m.id),
    messages.map((m) => m.tenant),
    messages.map((m) => m.topic),
    messages.map((m) => m.key),
    messages.map((m) => m.type),
    messages.map((m) => m.source),
    messages.map((m) => m.time),
    messages.map((m) => m.contentType),
    messages.map((m) => json(m.headers)),
    messages.map((m) => bytes(m.payload)),
  ];
}

/** The same columns of one message, as plain values. */
export function messageValues(m: Message): unknown[] {
  const { id, tenant, topic, key, type, source, time, contentType } = m;
  const headers = JSON.stringify(m.headers);
  return [id, tenant, topic, key, type, source, time, contentType, headers, bytes(m.payload)];
}

/**
 * Makes a Buffer, because `pg` sends a nested Buffer as bytes and any other typed array as something
 * else.
 */
export function bytes(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
