import type { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** Removes at most `limit` old rows, and skips those that another transaction has locked. */
export function pruneTable<Row>(
  table: MemoryTable<Row>,
  limit: number,
  isOld: (row: Row) => boolean,
  lockOf: (name: string) => string,
  own: MemoryTransaction,
): number {
  let gone = 0;
  for (const [name, row] of table.entries()) {
    if (gone === limit) break;
    if (!isOld(row) || !own.tryLock(lockOf(name))) continue;
    table.delete(name, own);
    gone += 1;
  }
  return gone;
}
