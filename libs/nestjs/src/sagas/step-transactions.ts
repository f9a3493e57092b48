import type { StepTransactions } from '@sagaz/core';
import { detached, type Connection } from '../enlist/index.js';

/**
 * Transactional steps in transactions of the application: injected repositories and outgoing
 * messages join, and the record of the step's completion is the last statement before the commit.
 */
export function stepTransactionsOf(connection: Connection): StepTransactions {
  return {
    run: (_connection, work, beforeCommit, unwanted) =>
      // Outside whatever set the engine in motion: a step has no request and no other transaction.
      detached(() =>
        connection.run(({ manager, transaction }) => work(manager ?? transaction), {
          last: beforeCommit,
          ...(unwanted === undefined ? {} : { unwanted }),
        }),
      ),
    reported: (_connection, error) => connection.store.transactions.reported(error),
  };
}
