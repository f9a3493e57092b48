import { newId } from '../../ids.js';
import { placeOfKey } from '../../messaging/index.js';
import type { OutboxMessage } from '../../ports/index.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message whose body is `<key>:<n>`, so that orders can be read off. */
export function outboxMessage(
  key: string,
  n: number | string,
  given: Partial<OutboxMessage> = {},
): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic: 'orders',
    key,
    type: 'orders.placed',
    source: 'contract',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'text/plain',
    payload: encoder.encode(`${key}:${n}`),
    headers: {},
    ordered: true,
    delayMs: 0,
    ...given,
  };
}

/** The body of a message as text. */
export function textOf({ payload }: { readonly payload: Uint8Array }): string {
  return decoder.decode(payload);
}

/** The bodies of messages as text. */
export function textsOf(messages: readonly { readonly payload: Uint8Array }[]): string[] {
  return messages.map(textOf);
}

/** Another key in the slot of a key, for messages as {@link outboxMessage} makes them. */
export function neighbourOf(key: string): string {
  const slotOf = (one: string): number => {
    const { tenant, topic } = outboxMessage(one, 1);
    return placeOfKey(tenant, topic, one).slot;
  };
  for (let n = 0; ; n += 1) if (slotOf(`n${n}`) === slotOf(key)) return `n${n}`;
}
