import { FINAL_STATUSES, isFinal, type RemovedSagas, type SagaRetention } from '../ports/index.js';
import type { SagaRow, SagaRows } from './memory-saga-rows.js';
import type { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** The start that an idempotency key belongs to. */
export interface KeptKey {
  readonly sagaId: string;
  readonly inputDigest: string;
  readonly startedAt: Date;
}

/** Removes the rows of old sagas and old keys; returns the removed rows as well. */
export function removeOldRows(
  rows: SagaRows,
  keys: MemoryTable<KeptKey>,
  {
    keep,
    limit,
    now,
  }: { readonly keep: SagaRetention; readonly limit: number; readonly now: number },
  transaction: MemoryTransaction,
): { readonly removed: RemovedSagas; readonly sagas: readonly SagaRow[] } {
  const isOld = (since: Date, keepMs: number | null): boolean =>
    keepMs !== null && now - since.getTime() > keepMs;
  const ended = [...rows.committed().values()];
  const old = FINAL_STATUSES.flatMap((status) =>
    ended
      .filter((row) => row.status === status && isOld(row.updatedAt, keep[status]))
      .sort((a, b) => a.updatedAt.getTime() - b.updatedAt.getTime()),
  );
  const sagas: SagaRow[] = [];
  for (const row of old) {
    if (sagas.length >= limit) break;
    if (transaction.tryLock(`saga:${row.id}`)) sagas.push(row);
  }
  for (const { id } of sagas) rows.delete(id, transaction);
  const oldKeys = [...keys.committed()]
    .filter(([, { sagaId, startedAt }]) => {
      const saga = rows.get(sagaId);
      return isOld(startedAt, keep.keys) && (saga === undefined || isFinal(saga.status));
    })
    .slice(0, limit);
  for (const [key] of oldKeys) keys.delete(key, transaction);
  const more = sagas.length >= limit || oldKeys.length >= limit;
  return { removed: { sagas: sagas.length, keys: oldKeys.length, more }, sagas };
}
