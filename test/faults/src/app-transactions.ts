import {
  abandonedWith,
  CommitUnknownError,
  TransactionAbortedError,
  type InboxUnit,
  type OutboxMessage,
  type StepTransactions,
  type Store,
  type Transaction,
} from '@sagaz/core';
import type pg from 'pg';

/** The application's transaction, as its steps and handlers see it. */
export interface AppTransaction {
  query(text: string, values: readonly unknown[]): Promise<pg.QueryResult>;
  publish(message: OutboxMessage): void;
  /** Writes what was published to the outbox now instead of at the end. */
  flush(): Promise<void>;
  /** The same transaction as the store knows it. */
  readonly transaction: Transaction;
}

/**
 * Transactions on the application's own pool, which steps, handlers and producers share: what was
 * published is written to the outbox as the last thing before the fence and the commit.
 */
export class AppTransactions implements StepTransactions {
  constructor(
    private readonly pool: pg.Pool,
    private readonly store: Store,
  ) {}

  async begin<T>(
    work: (app: AppTransaction) => Promise<T>,
    beforeCommit: (transaction: Transaction) => Promise<void> = async () => {},
  ): Promise<T> {
    const client = await this.pool.connect();
    let broken = false;
    try {
      await client.query('BEGIN');
      const transaction = this.store.transactions.enlist(client);
      const messages: OutboxMessage[] = [];
      const flush = async (): Promise<void> => {
        const batch = messages.splice(0);
        if (batch.length > 0) await this.store.outbox.append(batch, transaction);
      };
      const value = await work({
        query: (text, values) => client.query(text, [...values]),
        publish: (message) => messages.push(message),
        flush,
        transaction,
      });
      await flush();
      await beforeCommit(transaction);
      const { command } = await client.query('COMMIT').catch((cause: unknown) => {
        throw new CommitUnknownError({ cause });
      });
      if (command !== 'COMMIT') throw new TransactionAbortedError();
      return value;
    } catch (error) {
      await this.store.transactions
        .control(client, 'rollback', () => client.query('ROLLBACK'))
        .catch(() => (broken = true));
      throw error;
    } finally {
      client.release(broken);
    }
  }

  run(
    _connection: string | undefined,
    work: (manager: unknown) => Promise<void>,
    beforeCommit: (transaction: Transaction) => Promise<void>,
    unwanted?: AbortSignal,
  ): Promise<void> {
    return abandonedWith(this.store.transactions, unwanted, (opened) =>
      this.begin((app) => {
        opened(app.transaction);
        return work(app);
      }, beforeCommit),
    );
  }

  /** For one delivery: `seen` is where its handler finds the transaction. */
  inboxUnit(seen: (app: AppTransaction) => void): InboxUnit {
    return {
      run: (body, last) =>
        this.begin((app) => {
          seen(app);
          return body(app.transaction, (message) => app.publish(message));
        }, last),
    };
  }
}
