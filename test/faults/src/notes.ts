import type { AppTransactions } from './app-transactions.js';
import { publishNote } from './note.js';
import { PAIRED_KEY, takePairs } from './note-pairs.js';

const NUMBERED_KEYS = ['k1', 'k2', 'k3'];
export const NOTE_KEYS = [...NUMBERED_KEYS, PAIRED_KEY];
/** The number of notes whose transaction is rolled back. */
const NEVER = -1;

class Rollback extends Error {}

/** Publishes notes until each key has so many, those of earlier processes counted. */
export async function takeNotes(transactions: AppTransactions, upTo: number): Promise<void> {
  const numbered = NUMBERED_KEYS.map(async (key) => {
    while (await takeNext(transactions, key, upTo)) await rolledBack(transactions, key);
  });
  await Promise.all([...numbered, takePairs(transactions, upTo)]);
}

/** The row lock makes the number of a note the order of the commits. */
function takeNext(transactions: AppTransactions, key: string, upTo: number): Promise<boolean> {
  return transactions.begin(async (app) => {
    const { rows } = await app.query(
      'UPDATE app.note_key SET n = n + 1 WHERE key = $1 AND n < $2 RETURNING n',
      [key, upTo],
    );
    const row = rows[0] as { readonly n: number } | undefined;
    if (row === undefined) return false;
    await publishNote(app, key, row.n);
    return true;
  });
}

/** A transaction that publishes and rolls back. */
async function rolledBack(transactions: AppTransactions, key: string): Promise<void> {
  const refuse = async (): Promise<void> => {
    throw new Rollback();
  };
  await transactions
    .begin((app) => publishNote(app, key, NEVER), refuse)
    .catch((error: unknown) => {
      if (!(error instanceof Rollback)) throw error;
    });
}
