import type { DueFloor, PassedTopics, SlotQueueStore, WithoutTopics } from '../ports/index.js';
import type { NumberedRow } from './memory-queue-rows.js';

/** How far the next pending rows of slots belong to topics; see {@link SlotQueueStore.passTopics}. */
export function passTopics(
  pending: readonly NumberedRow[],
  { windows, topics, within }: Parameters<SlotQueueStore['passTopics']>[0],
): PassedTopics['slots'] {
  const leftOut = new Set(topics);
  return windows.flatMap(({ slot, floor }) => {
    const above = pending.filter((row) => row.slot === slot && BigInt(row.seq) > BigInt(floor));
    const looked = above.slice(0, within);
    const other = looked.find(({ message }) => !leftOut.has(message.topic));
    const last = looked.at(-1);
    if (last === undefined) return [];
    const upTo = other === undefined ? last.seq : (BigInt(other.seq) - 1n).toString();
    return [{ slot, upTo, more: other === undefined && looked.length === within }];
  });
}

/** The due retries of a slot that a look without topics goes through, in the order in which they are due. */
export function dueWithin(
  retrying: readonly NumberedRow[],
  slot: number,
  without: WithoutTopics | undefined,
): readonly NumberedRow[] {
  const floor = without?.floors.find((one) => one.slot === slot);
  return retrying
    .filter((row) => row.slot === slot && (floor === undefined || isBehind(row, floor)))
    .sort((a, b) => a.dueAt - b.dueAt || (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1))
    .slice(0, without?.within ?? Infinity);
}

/** The floors behind retries that are due and belong to topics; see {@link SlotQueueStore.passDueTopics}. */
export function passDueTopics(
  due: readonly NumberedRow[],
  slots: readonly number[],
  without: WithoutTopics,
): readonly DueFloor[] {
  const leftOut = new Set(without.topics);
  return slots.flatMap((slot) => {
    const looked = dueWithin(due, slot, without);
    const last = looked.at(-1);
    if (last === undefined || !looked.every(({ message }) => leftOut.has(message.topic))) return [];
    return [{ slot, dueAt: String(last.dueAt), seq: last.seq }];
  });
}

function isBehind(row: NumberedRow, { dueAt, seq }: DueFloor): boolean {
  const at = Number(dueAt);
  return row.dueAt > at || (row.dueAt === at && BigInt(row.seq) > BigInt(seq));
}
