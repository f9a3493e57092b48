import type { Clock, SlotChange } from '../ports/index.js';
import type { QueueRow } from './memory-queue-rows.js';

/** The row as a change makes it; null if the row is in a state in which it cannot be made. */
export function changedRow(
  row: QueueRow,
  change: Exclude<SlotChange, { kind: 'release' }>,
  clock: Clock,
): QueueRow | null {
  switch (change.kind) {
    case 'hold':
      return row.status === 'pending' || row.status === 'held' ? { ...row, status: 'held' } : null;
    case 'retry':
      if (row.status !== 'pending' && row.status !== 'retrying') return null;
      return {
        ...row,
        status: 'retrying',
        attempts: row.attempts + (change.counts ? 1 : 0),
        dueAt: clock.now() + change.delayMs,
        error: change.error ?? row.error,
      };
    case 'dead_letter':
      if (row.status !== 'pending' && row.status !== 'retrying') return null;
      return {
        ...row,
        status: 'dead_letter',
        attempts: row.attempts + (change.counts ? 1 : 0),
        error: change.error,
        reason: change.reason,
        blocks: change.block,
        diedAt: clock.date(),
      };
  }
}
