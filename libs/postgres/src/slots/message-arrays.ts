import { placeOfKey, type Message } from '@sagaz/core';

/** Where the messages' keys live. */
export function slotsOf(messages: readonly Message[]): number[] {
  return messages.map((m) => placeOfKey(m.tenant, m.topic, m.key).slot);
}

/** What every message has, one array for each column: from `id` to `payload`, as tables list them. */
export function messageArrays(messages: readonly Message[]): unknown[] {
  return [
    messages.map((m) => m.id),
    messages.map((m) => m.tenant),
    messages.map((m) => m.topic),
    messages.map((m) => m.key),
    messages.map((m) => m.type),
    messages.map((m) => m.source),
    messages.map((m) => m.time),
    messages.map((m) => m.contentType),
    messages.map((m) => JSON.stringify(m.headers)),
    messages.map((m) => bytes(m.payload)),
  ];
}

/** `pg` sends a Buffer as bytes, and any other typed array as something else where it is nested. */
export function bytes(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
