import type { QueuedMessage, SlotChange, SlotChangeOutcome } from '../../ports/index.js';
import type { Owner, SlotQueueFixture } from './slot-queue-fixture.js';

export function retry(row: QueuedMessage, delayMs: number, counts = true): SlotChange {
  const place = { slot: row.slot, seq: row.seq };
  return { kind: 'retry', place, delayMs, counts, error: 'refused' };
}

export function hold(row: QueuedMessage): SlotChange {
  return { kind: 'hold', place: { slot: row.slot, seq: row.seq } };
}

export function bury(row: QueuedMessage, block: boolean): SlotChange {
  const place = { slot: row.slot, seq: row.seq };
  return {
    kind: 'dead_letter',
    counts: true,
    place,
    error: 'refused',
    reason: 'attempts_exhausted',
    block,
  };
}

export async function change(
  { queue }: SlotQueueFixture,
  owner: Owner,
  changes: readonly SlotChange[],
): Promise<readonly SlotChangeOutcome[]> {
  return queue.change(owner.incarnation, owner.leases, changes);
}
