import { EventEmitter } from 'node:events';

/**
 * How many transactions, or parts of one, have ended on a connection. They are counted by the tags with
 * which the server answers each command, so that a COMMIT or ROLLBACK TO SAVEPOINT that was not sent by
 * TypeORM is noticed without an additional statement in every transaction.
 */
export interface TransactionEnds {
  readonly count: number;
}

const ENDS = new Set(['COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION']);
const watched = new WeakMap<object, TransactionEnds>();
/** Used for drivers other than pg, whose answers cannot be observed. */
const unheard: TransactionEnds = { count: 0 };

export function transactionEndsOf(client: unknown): TransactionEnds {
  if (typeof client !== 'object' || client === null) return unheard;
  const known = watched.get(client);
  if (known !== undefined) return known;
  const wire: unknown = Reflect.get(client, 'connection');
  if (!(wire instanceof EventEmitter)) return unheard;
  const ends = { count: 0 };
  wire.on('commandComplete', (answer: { readonly text?: string }) => {
    if (answer.text !== undefined && ENDS.has(answer.text)) ends.count += 1;
  });
  watched.set(client, ends);
  return ends;
}
