import { z } from 'zod';
import type { OrderLine, ProductOnFile } from './order-source.js';

const PRODUCTS = 20;

/** Enough for most orders and too little for some, so that a run shows both ends. */
export function makeUpProducts(orders: number): ProductOnFile[] {
  return Array.from({ length: PRODUCTS }, (_, index) => ({
    sku: `SKU-${String(index + 1).padStart(2, '0')}`,
    name: `Product ${String(index + 1)}`,
    stock: Math.max(10, Math.round((orders * 2 * 5) / PRODUCTS)),
  }));
}

const item = z.object({ sku: z.string(), quantity: z.number().positive() });

/** The products a file of orders asks for: four fifths of what it asks for in all. */
export function productsOf(lines: readonly OrderLine[]): ProductOnFile[] {
  const asked = new Map<string, number>();
  for (const line of lines) {
    if (line.kind !== 'order') continue;
    for (const given of line.order.items) {
      const { success, data } = item.safeParse(given);
      if (success) asked.set(data.sku, (asked.get(data.sku) ?? 0) + data.quantity);
    }
  }
  return [...asked].map(([sku, units]) => ({ sku, name: sku, stock: Math.ceil(units * 0.8) }));
}

/** The same seed makes the same orders. */
export function makeUpOrders(
  count: number,
  seed: number,
  products: readonly ProductOnFile[],
): OrderLine[] {
  const random = mulberry32(seed);
  const pick = (n: number): number => Math.floor(random() * n);
  return Array.from({ length: count }, (_, index) => {
    const items = Array.from({ length: 1 + pick(4) }, () => ({
      sku: products[pick(products.length)]?.sku ?? '',
      quantity: 1 + pick(9),
      unitPriceCents: 100 * (1 + pick(90)),
    }));
    return {
      kind: 'order',
      line: index + 1,
      order: {
        orderId: `order-${String(index + 1).padStart(6, '0')}`,
        customerId: `customer-${String(1 + pick(40))}`,
        items,
      },
    };
  });
}

/** Tommy Ettinger's mulberry32: small, and the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
