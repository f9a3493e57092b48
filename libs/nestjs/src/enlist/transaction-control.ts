import type { TransactionControl } from '@sagaz/core';

/** Asks for the isolation level at which transactions begin. */
export const SHOW_ISOLATION = 'SHOW default_transaction_isolation';

/** As TypeORM writes them, 0.3 and 1.x alike, with the number of the savepoint or the level after some. */
const WRITTEN: readonly (readonly [string, TransactionControl])[] = [
  ['START TRANSACTION', 'begin'],
  ['SET TRANSACTION ISOLATION LEVEL ', 'begin'],
  [SHOW_ISOLATION, 'begin'],
  ['SAVEPOINT typeorm_', 'begin'],
  ['RELEASE SAVEPOINT typeorm_', 'begin'],
  ['COMMIT', 'commit'],
  ['ROLLBACK', 'rollback'],
];

/**
 * Classifies a statement of a query runner that controls its transaction; null: it is a statement of
 * the application.
 */
export function controlOf(sql: unknown): TransactionControl | null {
  if (typeof sql !== 'string') return null;
  return WRITTEN.find(([start]) => sql.startsWith(start))?.[1] ?? null;
}
