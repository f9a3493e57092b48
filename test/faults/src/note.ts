import type { AppTransaction } from './app-transactions.js';
import { eventOf } from './messages.js';

/** Business row and event of a note; the id of its message. */
export async function publishNote(
  { query, publish }: AppTransaction,
  key: string,
  n: number,
): Promise<string> {
  const message = eventOf('note.taken', key, { n });
  await query('INSERT INTO app.note VALUES ($1, $2, $3)', [key, n, message.id]);
  publish(message);
  return message.id;
}
