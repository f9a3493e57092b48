import { z } from 'zod';

/** Ids come from clients. PostgreSQL keeps no text with a NUL in it, and none with half a surrogate pair. */
const id = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must have no control characters and no half characters');
export const orderId = id.describe('Chosen by the client; makes a repeat safe');
export const sku = id;

/** The body of a request that places an order. It names no prices: those are the shop's. */
export const placeOrder = z.object({
  orderId,
  customerId: id,
  items: z
    .array(z.object({ sku, quantity: z.int().positive().max(1_000_000) }))
    .min(1)
    .max(500),
});

export type PlaceOrder = z.infer<typeof placeOrder>;

export interface PricedItem {
  readonly sku: string;
  readonly quantity: number;
  readonly unitPriceCents: number;
}

/** An order with the prices of the moment in which it was placed. */
export interface PricedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly items: readonly PricedItem[];
}

/** The largest total of an order, in cents. */
export const MOST_CENTS = 2_000_000_000;

export function totalCents({ items }: Pick<PricedOrder, 'items'>): number {
  return items.reduce((sum, item) => sum + item.quantity * item.unitPriceCents, 0);
}
