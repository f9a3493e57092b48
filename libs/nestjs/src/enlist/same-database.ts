import { InboxBusyError, newNonce, propertyOf, type Store, type Transaction } from '@sagaz/core';

const WAIT_MS = 25;

/** Thrown to roll back a claim that succeeded although it should not. */
class Undo extends Error {}

/** PostgreSQL: undefined_table, invalid_schema_name. */
const ABSENT: ReadonlySet<unknown> = new Set(['42P01', '3F000']);

/**
 * Whether a store's own connections work on the database that a transaction of the application is in.
 * It is tested with the inbox: in every store, a second claim of a key waits for the transaction that
 * holds the first. A second claim that does not wait is in another database. Nothing is left behind,
 * provided that the caller rolls back.
 */
export async function isSameDatabase(store: Store, transaction: Transaction): Promise<boolean> {
  const key = { tenant: '', group: 'sagaz.start', source: 'sagaz', id: newNonce() };
  try {
    await store.inbox.claim(key, transaction, WAIT_MS);
  } catch (error) {
    // The store reports the error of the database as the cause of its own.
    if (ABSENT.has(propertyOf(propertyOf(error, 'cause'), 'code'))) return false;
    throw error;
  }
  try {
    await store.transactions.run(async (own) => {
      await store.inbox.claim(key, own, WAIT_MS);
      throw new Undo();
    });
  } catch (error) {
    if (error instanceof InboxBusyError) return true;
    if (error instanceof Undo) return false;
    throw error;
  }
  return false;
}
