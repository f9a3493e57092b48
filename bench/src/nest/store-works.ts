import { newId, type InboxUnit, type OutboxMessage, type Store } from '@sagaz/core';
import pg from 'pg';
import { handler, processorOf } from '../inbox.js';
import { messageOf } from '../messages.js';
import { openStore } from '../store.js';
import { business } from './business.js';

export interface StoreWorks {
  /** A transaction of pg with one insert. */
  bare(): Promise<void>;
  /** The same with a message, which the store itself appends. */
  enqueue(): Promise<void>;
  /** The same as a handler behind the inbox, without Nest. */
  inbox(message: OutboxMessage): Promise<void>;
  close(): Promise<void>;
}

/** The same work below Nest and TypeORM: transactions of pg, and the store alone. */
export async function storeWorks(url: string, poolSize: number): Promise<StoreWorks> {
  const store = await openStore(url);
  const pool = new pg.Pool({ connectionString: url, max: poolSize, idleTimeoutMillis: 0 });
  pool.on('error', () => undefined);
  const inTransaction = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } finally {
      client.release();
    }
  };
  return {
    bare: () => inTransaction(business),
    enqueue: () =>
      inTransaction(async (client) => {
        await business(client);
        await store.outbox.append([messageOf(newId())], store.transactions.enlist(client));
      }),
    inbox: behindInbox(store, inTransaction),
    close: async () => {
      await pool.end();
      await store.close();
    },
  };
}

function behindInbox(
  store: Store,
  inTransaction: <T>(work: (client: pg.PoolClient) => Promise<T>) => Promise<T>,
): (message: OutboxMessage) => Promise<void> {
  const processor = processorOf(store);
  const { signal } = new AbortController();
  return async (message) => {
    await processor.receive({ message, group: 'bench', attempt: 1, signal }, handler, (attempt) => {
      let client: pg.PoolClient | null = null;
      const unit: InboxUnit = {
        run: (body) =>
          inTransaction((joined) => {
            client = joined;
            return body(store.transactions.enlist(joined), () => undefined);
          }),
      };
      return attempt.run(unit, () =>
        client === null ? Promise.reject(new Error('There is no transaction.')) : business(client),
      );
    });
  };
}
