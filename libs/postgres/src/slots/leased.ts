import type { SlotLease } from '@sagaz/core';
import type { SlotNames } from './slot-table.js';

/** SQL for those of the leases, given as $1 … $4, that the incarnation still has. */
export function leased({ lease }: SlotNames): string {
  return `leased AS MATERIALIZED (
      SELECT l.slot FROM ${lease} l
      JOIN unnest($3::int[], $4::bigint[]) AS mine (slot, epoch) ON l.slot = mine.slot AND l.epoch = mine.epoch
      WHERE l.queue = $1 AND l.owner = $2
    )`;
}

/** The values of {@link leased}. */
export function leaseValues(
  { queue }: SlotNames,
  incarnation: string,
  leases: readonly SlotLease[],
): unknown[] {
  return [queue, incarnation, leases.map((l) => l.slot), leases.map((l) => l.epoch)];
}
