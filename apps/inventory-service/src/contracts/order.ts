// Events of the order service. A service that listens to them has the same file.
import { defineEvent } from '@sagaz/core';

export interface OrderConfirmedPayload {
  readonly orderId: string;
  readonly customerId: string;
  readonly totalCents: number;
}
/** The order is paid and its stock is on its way. */
export const OrderConfirmed = defineEvent<OrderConfirmedPayload>()('order.confirmed');

export interface OrderRejectedPayload {
  readonly orderId: string;
}
export const OrderRejected = defineEvent<OrderRejectedPayload>()('order.rejected');
