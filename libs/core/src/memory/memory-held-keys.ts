import type { HeldKey } from '../ports/index.js';
import { isHead, keyNameOf, type NumberedRow } from './memory-queue-rows.js';

/** The keys that rows hold back, and those of which only held rows are left. */
export function heldKeysOf(rows: readonly NumberedRow[]): readonly HeldKey[] {
  const heads: HeldKey[] = [];
  const headed = new Set<string>();
  const aside = new Map<string, HeldKey>();
  for (const row of rows) {
    const { tenant, topic, key } = row.message;
    if (isHead(row)) {
      heads.push({ slot: row.slot, tenant, topic, key, head: row.seq });
      headed.add(keyNameOf(row));
    } else if (row.status === 'held') {
      aside.set(keyNameOf(row), { slot: row.slot, tenant, topic, key, head: null });
    }
  }
  const orphans = [...aside].filter(([name]) => !headed.has(name)).map(([, key]) => key);
  return [...heads, ...orphans];
}
