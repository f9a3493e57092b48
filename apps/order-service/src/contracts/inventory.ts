// The messages that inventory handles. The service that sends them has the same file.
import { defineCommand } from '@sagaz/core';
import { z } from 'zod';

/** Replies of any other service are ignored. */
const handledBy = 'inventory-service';

export const orderLine = z.object({
  sku: z.string().min(1),
  quantity: z.int().positive(),
});
export type OrderLine = z.infer<typeof orderLine>;

const reserveStock = z.object({ orderId: z.string(), lines: z.array(orderLine).min(1) });
export type ReserveStockPayload = z.infer<typeof reserveStock>;
export interface StockReserved {
  readonly orderId: string;
  readonly reservedUnits: number;
}

/** All lines or none. Refused with `unknown_product` or `out_of_stock`. */
export const ReserveStock = defineCommand<ReserveStockPayload, StockReserved>()(
  'inventory.reserve',
  { payload: reserveStock, handledBy },
);

export interface ReleaseStockPayload {
  readonly orderId: string;
}
/** Gives back what {@link ReserveStock} took; also safe when it took nothing. */
export const ReleaseStock = defineCommand<ReleaseStockPayload>()('inventory.release', {
  handledBy,
});
