import { z } from 'zod';

/** Ids come from clients. PostgreSQL keeps no text with a NUL in it. */
const id = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^\P{Cc}*$/u, 'must have no control characters');
export const orderId = id.describe('Chosen by the client; makes a repeat safe');

/** What a client sends to place an order. */
export const placeOrder = z
  .object({
    orderId,
    customerId: id,
    items: z
      .array(
        z.object({
          sku: id,
          quantity: z.int().positive().max(1_000_000),
          unitPriceCents: z.int().nonnegative().max(100_000_000),
        }),
      )
      .min(1)
      .max(500),
  })
  .refine((order) => totalCents(order) > 0 && totalCents(order) <= 2_000_000_000, {
    message: 'the total must be between 1 and 2,000,000,000 cents',
    path: ['items'],
  });

export type PlaceOrder = z.infer<typeof placeOrder>;

export function totalCents(order: {
  readonly items: readonly { readonly quantity: number; readonly unitPriceCents: number }[];
}): number {
  return order.items.reduce((sum, item) => sum + item.quantity * item.unitPriceCents, 0);
}
