import { newId, type OutboxMessage } from '@sagaz/core';

const PAYLOAD = new TextEncoder().encode(JSON.stringify({ text: 'x'.repeat(380) }));

/** A message of some 400 bytes. */
export function messageOf(key: string, topic = 'bench'): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic,
    key,
    type: `${topic}.happened`,
    source: 'bench',
    time: new Date().toISOString(),
    contentType: 'application/json',
    payload: PAYLOAD,
    headers: {},
    ordered: true,
    delayMs: 0,
  };
}
