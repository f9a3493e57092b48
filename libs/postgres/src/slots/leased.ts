import type { SlotLease } from '@sagaz/core';
import type { SlotNames } from './slot-table.js';

/** SQL for the slots of those of the leases, given as $1 … $4, that the incarnation still has. */
export function leasedSlots({ lease }: SlotNames): string {
  return `SELECT l.slot FROM ${lease} l
      JOIN unnest($3::int[], $4::bigint[]) AS given (slot, epoch) ON l.slot = given.slot AND l.epoch = given.epoch
      WHERE l.queue = $1 AND l.owner = $2`;
}

/** SQL of {@link leasedSlots} as the part `leased` of a statement. */
export function leased(names: SlotNames): string {
  return `leased AS MATERIALIZED (${leasedSlots(names)})`;
}

/** The values of {@link leased}. */
export function leaseValues(
  { queue }: SlotNames,
  incarnation: string,
  leases: readonly SlotLease[],
): unknown[] {
  return [queue, incarnation, leases.map((l) => l.slot), leases.map((l) => l.epoch)];
}
