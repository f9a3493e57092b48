import { abandonedWith, type StepTransactions } from '@sagaz/core';
import { detached, type Connection } from '../enlist/index.js';

/**
 * Runs transactional steps in transactions of the application. Injected repositories and outgoing
 * messages join, and the record of the step's completion is the last statement before the commit.
 */
export function stepTransactionsOf(connection: Connection): StepTransactions {
  const { transactions } = connection.store;
  return {
    run: (_connection, work, beforeCommit, unwanted, place) =>
      // The step runs outside of the context in which the engine was woken, since it belongs to no
      // request and to no other transaction.
      detached(() =>
        abandonedWith(transactions, unwanted, (opened) =>
          connection.run(
            async ({ manager, transaction }) => {
              opened(transaction);
              await transactions.open(transaction);
              return work(manager ?? transaction);
            },
            {
              last: beforeCommit,
              kind: 'steps',
              ...(unwanted === undefined ? {} : { unwanted }),
              ...(place === undefined ? {} : { place }),
            },
          ),
        ),
      ),
    reserve: (unwanted) => connection.reserve({ kind: 'steps', unwanted }),
    reported: (_connection, error) => transactions.reported(error),
  };
}
