import type { OutboxMessage, OutboxStore, Transactions } from '../../ports/index.js';
import type { InboxUnit } from './inbox.types.js';

/** A unit over the store's own transactions: for code that needs none of an application's. */
export function storeUnit(store: {
  readonly transactions: Transactions;
  readonly outbox: Pick<OutboxStore, 'appendAtCommit'>;
}): InboxUnit {
  return {
    run: (body, last) =>
      store.transactions.run(async (transaction) => {
        const messages: OutboxMessage[] = [];
        const value = await body(transaction, (message) => {
          messages.push(message);
        });
        // Last, because it takes the locks of the keys, after which nothing may wait.
        if (messages.length > 0) await store.outbox.appendAtCommit(messages, transaction);
        await last?.(transaction);
        return value;
      }),
  };
}
