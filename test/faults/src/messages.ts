import { defineCommand, jsonCodec, newId, type OutboxMessage } from '@sagaz/core';

export interface OrderLine {
  readonly orderId: string;
}
export const ReserveStock = defineCommand<OrderLine, { readonly reservation: string }>()(
  'stock.reserve',
);
export const ReleaseStock = defineCommand<OrderLine>()('stock.release');

/** An event as the application publishes it. */
export function eventOf(type: string, key: string, payload: object): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic: type.slice(0, type.indexOf('.')),
    key,
    type,
    source: 'orders',
    time: new Date().toISOString(),
    contentType: jsonCodec.contentType,
    payload: jsonCodec.encode(payload),
    headers: {},
    ordered: true,
    delayMs: 0,
  };
}

interface Body {
  readonly orderId?: string;
  readonly n?: number;
}

export function bodyOf(payload: Uint8Array): Body {
  return jsonCodec.decode(payload) as Body;
}
