import { setTimeout as pause } from 'node:timers/promises';
import { Gate } from '@sagaz/core/testing';
import type { AppTransaction, AppTransactions } from './app-transactions.js';
import { publishNote } from './note.js';

/** The key of notes whose transactions are kept in order by the outbox alone. */
export const PAIRED_KEY = 'pair';

/** Facts about the second transaction of a pair that the first one needs. */
interface Second {
  pid: number;
  /** The id of the message it has published; null if an earlier process published it. */
  note: string | null;
  over: boolean;
}

export async function takePairs(transactions: AppTransactions, upTo: number): Promise<void> {
  for (let n = 1; n <= upTo; n += 2) await takePair(transactions, n, upTo);
}

/**
 * Two transactions at once. The second appends when the first has and is still open, so it must wait
 * for its end. Where it does not, its note arrives before the other one.
 */
async function takePair(transactions: AppTransactions, n: number, upTo: number): Promise<void> {
  const appended = new Gate();
  const second: Second = { pid: 0, note: null, over: n === upTo };
  const takeSecond = transactions
    .begin(async (app) => {
      if (second.over) return;
      const { rows } = await app.query('SELECT pg_backend_pid() AS pid', []);
      second.pid = (rows[0] as { readonly pid: number }).pid;
      second.note = await takeOnce(app, n + 1);
      await appended.pass();
    })
    .finally(() => (second.over = true));
  const takeFirst = transactions
    .begin(async (app) => {
      if ((await takeOnce(app, n)) === null) return;
      await Promise.race([appended.reached, takeSecond]);
      await app.flush();
      appended.open();
      while (!(await mayCommit(app, second))) await pause(10);
    })
    .finally(() => appended.open());
  await Promise.all([takeFirst, takeSecond]);
}

/** Null: it was taken before. */
async function takeOnce(app: AppTransaction, n: number): Promise<string | null> {
  // The transaction of a process that has just died may still be about to commit: it is waited for.
  const { rowCount } = await app.query(
    'INSERT INTO app.note_key VALUES ($1, 1) ON CONFLICT DO NOTHING',
    [`${PAIRED_KEY} ${n}`],
  );
  return rowCount === 0 ? null : publishNote(app, PAIRED_KEY, n);
}

/** Once the second waits; where it did not, once the harm is done. */
async function mayCommit({ query }: AppTransaction, second: Second): Promise<boolean> {
  if (second.over && second.note === null) return true;
  const { rowCount } = await (second.over
    ? query('SELECT FROM app.delivery WHERE message_id = $1', [second.note])
    : query('SELECT WHERE cardinality(pg_blocking_pids($1)) > 0', [second.pid]));
  return rowCount !== 0;
}
