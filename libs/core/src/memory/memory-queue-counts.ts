import { MOST_COUNTED, type QueuedStatus } from '../ports/index.js';
import { isPromotable, type QueueRow } from './memory-queue-rows.js';

/** How many rows have each status, and for how long the oldest pending one has been there. */
export function countRows(
  rows: Iterable<QueueRow>,
  now: number,
): {
  readonly byStatus: ReadonlyMap<QueuedStatus, number>;
  readonly oldestPendingMs: number | null;
} {
  const byStatus = new Map<QueuedStatus, number>();
  let oldest: number | null = null;
  for (const row of rows) {
    byStatus.set(row.status, Math.min(MOST_COUNTED, (byStatus.get(row.status) ?? 0) + 1));
    if (row.status !== 'pending') continue;
    oldest = oldest === null ? row.writtenAt : Math.min(oldest, row.writtenAt);
  }
  return { byStatus, oldestPendingMs: oldest === null ? null : now - oldest };
}

/** For how long the oldest row that could be worked on now has waited; null: there is none. */
export function longestWaitMs(rows: Iterable<QueueRow>, now: number): number | null {
  let oldest: number | null = null;
  for (const row of rows) {
    const due = isPromotable(row) || row.status === 'retrying';
    if (row.status !== 'pending' && !(due && row.dueAt <= now)) continue;
    oldest = Math.min(oldest ?? Infinity, due ? row.dueAt : row.writtenAt);
  }
  return oldest === null ? null : now - oldest;
}
