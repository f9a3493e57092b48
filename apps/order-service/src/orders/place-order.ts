import { z } from 'zod';

/** What a client sends to place an order. */
export const placeOrder = z
  .object({
    orderId: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .describe('Chosen by the client; makes a repeat safe'),
    customerId: z.string().trim().min(1).max(100),
    items: z
      .array(
        z.object({
          sku: z.string().trim().min(1).max(100),
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
