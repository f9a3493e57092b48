import { nameOf } from './memory-inbox-locks.js';
import type { MemoryTable } from './memory-table.js';
import type { MemoryTransaction } from './memory-transaction.js';

/** The group in the name of a row; see {@link nameOf}. */
export function groupOf(name: string): string {
  return partsOf(name)[1];
}

/** Gives rows that are named by inbox keys the name of another group. Returns how many there were. */
export function renameRows<Row>(
  rows: MemoryTable<Row>,
  from: string,
  to: string,
  own: MemoryTransaction,
): number {
  let renamed = 0;
  for (const [name, row] of rows.entries(own)) {
    const [tenant, group, source, id] = partsOf(name);
    if (group !== from) continue;
    rows.delete(name, own);
    rows.set(nameOf({ tenant, group: to, source, id }), row, own);
    renamed += 1;
  }
  return renamed;
}

function partsOf(name: string): [string, string, string, string] {
  return JSON.parse(name) as [string, string, string, string];
}
