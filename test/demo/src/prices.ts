import { z } from 'zod';
import type { OrderLine, ProductOnFile } from './order-source.js';

export interface PriceOnFile {
  readonly sku: string;
  readonly unitPriceCents: number;
}

const USUAL_CENTS = 1_000;
const MOST_CENTS = 100_000_000;
const pricedItem = z.looseObject({
  sku: z.string().trim().min(1).max(100),
  unitPriceCents: z.int().nonnegative().max(MOST_CENTS).optional(),
});

/**
 * The price list of the shop: what the file of products says, else what the first order of a product says,
 * else the same for everything.
 */
export function pricesOf(
  products: readonly ProductOnFile[],
  lines: readonly OrderLine[],
): PriceOnFile[] {
  const prices = new Map<string, number>();
  for (const { sku, unitPriceCents } of products) {
    if (unitPriceCents !== undefined) prices.set(sku, unitPriceCents);
  }
  for (const line of lines) {
    if (line.kind !== 'order') continue;
    for (const given of line.order.items) {
      const { success, data } = pricedItem.safeParse(given);
      if (success && !prices.has(data.sku))
        prices.set(data.sku, data.unitPriceCents ?? USUAL_CENTS);
    }
  }
  for (const { sku } of products) if (!prices.has(sku)) prices.set(sku, USUAL_CENTS);
  return [...prices].map(([sku, unitPriceCents]) => ({ sku, unitPriceCents }));
}
