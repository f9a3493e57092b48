import type { SlotLease } from '../../ports/index.js';

/** A lease that this process has, distinguished from an earlier lease of the same slot. */
export interface HeldLease extends SlotLease {
  /**
   * Rises each time this process gains a slot. The epoch alone does not tell: a lease that ran out
   * here, because its renewal was not answered in time, may be renewed under the same epoch later.
   */
  readonly tenure: number;
}
