import { z } from 'zod';
import type { Ledger } from './ledger.js';

/** How all orders stand, and every rule that must hold whatever was killed. */
export interface Findings {
  readonly confirmed: number;
  readonly rejected: number;
  readonly needsAttention: number;
  readonly unfinished: number;
  readonly oversoldProducts: number;
  readonly chargedNotConfirmed: number;
  readonly confirmedNotCharged: number;
  readonly reservedNotConfirmed: number;
  readonly doubleCharges: number;
}

const order = z.object({ id: z.string(), status: z.string(), saga: z.string().nullable() });
const reservation = z.object({
  order_id: z.string(),
  status: z.string(),
  lines: z.array(z.object({ sku: z.string(), quantity: z.number() })),
});
const charge = z.object({
  order_id: z.string(),
  captured: z.coerce.number(),
  captures: z.coerce.number(),
});

/**
 * Compares the books of the three services and of the payment provider.
 *
 * @param accepted ids of the orders that were answered with "accepted": each must be on the books
 * @param stock units of each product there were at the beginning
 */
export async function audit(
  ledger: Pick<Ledger, 'read'>,
  accepted: ReadonlySet<string>,
  stock: ReadonlyMap<string, number>,
): Promise<Findings> {
  const [orders, reservations, charges] = await Promise.all([
    ledger.read(
      'orders',
      order,
      `SELECT o.id, o.status, s.status AS saga
         FROM customer_order o LEFT JOIN sagaz.saga_all s ON s.id = o.saga_id`,
    ),
    ledger.read('inventory', reservation, 'SELECT order_id, status, lines FROM reservation'),
    ledger.read(
      'payments',
      charge,
      `SELECT order_id, count(*) FILTER (WHERE status = 'captured') AS captured,
              sum(captures) AS captures
         FROM simulated_provider.payment GROUP BY order_id`,
    ),
  ]);
  const known = new Set(orders.map((o) => o.id));
  const lost = [...accepted].filter((id) => !known.has(id));
  const confirmed = new Set(orders.filter((o) => o.status === 'confirmed').map((o) => o.id));
  const charged = new Set(charges.filter((c) => c.captured > 0).map((c) => c.order_id));
  const taken = reservations.filter((r) => r.status !== 'released');

  const unitsTaken = new Map<string, number>();
  for (const { sku, quantity } of taken.flatMap((r) => r.lines)) {
    unitsTaken.set(sku, (unitsTaken.get(sku) ?? 0) + quantity);
  }
  return {
    confirmed: confirmed.size,
    rejected: orders.filter((o) => o.status === 'rejected').length,
    needsAttention: orders.filter((o) => o.saga === 'needs_attention').length,
    unfinished:
      lost.length +
      orders.filter(
        (o) =>
          o.saga !== 'needs_attention' &&
          !(o.status === 'confirmed' && o.saga === 'completed') &&
          !(o.status === 'rejected' && o.saga === 'compensated'),
      ).length,
    oversoldProducts: [...unitsTaken].filter(([sku, units]) => units > (stock.get(sku) ?? 0))
      .length,
    chargedNotConfirmed: [...charged].filter((id) => !confirmed.has(id)).length,
    confirmedNotCharged: [...confirmed].filter((id) => !charged.has(id)).length,
    reservedNotConfirmed: taken.filter((r) => !confirmed.has(r.order_id)).length,
    doubleCharges: charges.filter((c) => c.captured > 1 || c.captures > 1).length,
  };
}

/** Ids of the orders that were rejected. */
export async function rejectedOrders(ledger: Pick<Ledger, 'read'>): Promise<string[]> {
  const rows = await ledger.read(
    'orders',
    z.object({ id: z.string() }),
    "SELECT id FROM customer_order WHERE status = 'rejected' ORDER BY id",
  );
  return rows.map(({ id }) => id);
}

/** Orders that have come to an end, for the progress line and for the one who kills. */
export async function countEnded(ledger: Ledger): Promise<number> {
  return ledger.count(
    'orders',
    `SELECT count(*) AS n FROM sagaz.saga_all
      WHERE status IN ('completed', 'compensated', 'partially_committed', 'terminated', 'needs_attention')`,
  );
}
