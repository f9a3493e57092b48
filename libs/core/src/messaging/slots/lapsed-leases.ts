import type { SlotLease } from '../../ports/index.js';

/**
 * Leases that this process lost because it did not renew them in time, at most one of each slot. Whoever
 * took such a slot over counted a crash, and this process, which lives, takes that back once nothing of
 * the slot is in hand here: until then the message in hand may still be what stopped it.
 */
export class LapsedLeases {
  readonly #leases = new Map<number, SlotLease>();

  add(lease: SlotLease): void {
    this.#leases.set(lease.slot, lease);
  }

  /** The slot is held again. True: under the epoch of before, so nobody else has had it. */
  regained(lease: SlotLease): boolean {
    const lapsed = this.#leases.get(lease.slot);
    this.#leases.delete(lease.slot);
    return lapsed?.epoch === lease.epoch;
  }

  /** Those whose slots are drained. */
  drained(isDrained: (slot: number) => boolean): readonly SlotLease[] {
    return [...this.#leases.values()].filter(({ slot }) => isDrained(slot));
  }

  /** Their crashes are taken back. */
  retracted(leases: readonly SlotLease[]): void {
    for (const lease of leases) {
      if (this.#leases.get(lease.slot) === lease) this.#leases.delete(lease.slot);
    }
  }
}
