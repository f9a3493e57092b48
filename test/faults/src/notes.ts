import type { AppTransactions } from './app-transactions.js';
import { eventOf } from './messages.js';

export const NOTE_KEYS = ['k1', 'k2', 'k3'];
/** The number of notes whose transaction is rolled back. */
const NEVER = -1;

class Rollback extends Error {}

/**
 * Publishes notes in numbered transactions until each key has so many: the row lock makes the number
 * the order of the commits. Before each, a transaction that publishes and rolls back.
 */
export async function takeNotes(transactions: AppTransactions, upTo: number): Promise<void> {
  const work = NOTE_KEYS.map(async (key) => {
    while (await takeNote(transactions, key, upTo)) await rolledBack(transactions, key);
  });
  await Promise.all(work);
}

function takeNote(transactions: AppTransactions, key: string, upTo: number): Promise<boolean> {
  return transactions.begin(async ({ query, publish }) => {
    const { rows } = await query(
      'UPDATE app.note_key SET n = n + 1 WHERE key = $1 AND n < $2 RETURNING n',
      [key, upTo],
    );
    const row = rows[0] as { readonly n: number } | undefined;
    if (row === undefined) return false;
    const message = eventOf('note.taken', key, { n: row.n });
    await query('INSERT INTO app.note VALUES ($1, $2, $3)', [key, row.n, message.id]);
    publish(message);
    return true;
  });
}

async function rolledBack(transactions: AppTransactions, key: string): Promise<void> {
  const message = eventOf('note.taken', key, { n: NEVER });
  const refuse = async (): Promise<void> => {
    throw new Rollback();
  };
  await transactions
    .begin(async ({ query, publish }) => {
      await query('INSERT INTO app.note VALUES ($1, $2, $3)', [key, NEVER, message.id]);
      publish(message);
    }, refuse)
    .catch((error: unknown) => {
      if (!(error instanceof Rollback)) throw error;
    });
}
