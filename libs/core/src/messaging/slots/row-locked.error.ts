import { SagazError } from '../../errors/index.js';
import type { Place } from '../../ports/index.js';

/** A row could not be removed, because another transaction has locked it. */
export class RowLockedError extends SagazError {
  readonly code = 'SAGAZ_ROW_LOCKED';
  readonly slot: number;
  readonly seq: string;

  constructor({ slot, seq }: Place) {
    super(
      `Another transaction has locked the row ${seq} of slot ${slot}.`,
      'Look for transactions that have been open for long; the removal is tried again until they end.',
    );
    this.slot = slot;
    this.seq = seq;
  }
}
