import { AsyncLocalStorage } from 'node:async_hooks';
import { hintSlots, type Store } from '@sagaz/core';
import { ConcurrencyLimit, type Place, type PlaceRequest } from './concurrency-limit.js';
import type { Connection, ConnectionParts, UnitOfWork, UnitOfWorkOptions } from './connection.js';
import { detached } from './detached.js';
import { EnlistedTransaction } from './enlisted-transaction.js';
import { TransactionEndedError } from './errors.js';

/** How many units of work run at once on the store's own pool: half of its default size. */
const CONCURRENCY = 5;

/**
 * A connection without a DataSource: its transactions are the store's own. For services that use no
 * TypeORM, for workers that only relay, and for tests in memory.
 */
export class StoreConnection implements Connection {
  readonly name: string;
  readonly store: Store;
  readonly concurrency = CONCURRENCY;
  readonly #parts: ConnectionParts;
  readonly #ambient = new AsyncLocalStorage<EnlistedTransaction>();
  readonly #limit = new ConcurrencyLimit(CONCURRENCY);

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.store = parts.store;
  }

  current(action: string): EnlistedTransaction | undefined {
    const enlisted = this.#ambient.getStore();
    if (enlisted?.ended === true) throw new TransactionEndedError(action);
    return enlisted;
  }

  async run<T>(
    work: (unit: UnitOfWork) => Promise<T>,
    { last, join, ...request }: UnitOfWorkOptions = {},
  ): Promise<T> {
    if (join !== true) return this.#limit.run(() => this.#run(work, last), request);
    const enlisted = this.current('join a transaction');
    if (enlisted === undefined) return this.#run(work, last);
    return work({ enlisted, transaction: await enlisted.transaction(), manager: undefined });
  }

  reserve(request: PlaceRequest): Promise<Place> {
    return this.#limit.reserve(request);
  }

  assertJoinable(): void {
    // There are no repositories that would have to join.
  }

  async check(): Promise<void> {
    // There is no second pool that could belong to another database.
  }

  dispose(): void {
    this.#ambient.disable();
  }

  async #run<T>(
    work: (unit: UnitOfWork) => Promise<T>,
    last: UnitOfWorkOptions['last'],
  ): Promise<T> {
    const { name, store, source, logger, observer } = this.#parts;
    let enlisted: EnlistedTransaction | undefined;
    try {
      const result = await store.transactions.run(async (transaction) => {
        const own = new EnlistedTransaction({
          connection: name,
          source,
          outbox: store.outbox,
          logger,
          depth: () => 1,
          open: async () => ({ transaction, ends: { count: 0 } }),
          written: (messages) => {
            detached(() => hintSlots(store.wakeUps, 'outbox', messages));
            observer.written?.(name, messages.length);
          },
          lost: (count) => observer.lost?.(name, count),
        });
        enlisted = own;
        if (last !== undefined) own.lastStatement(last);
        try {
          const value = await this.#ambient.run(own, () =>
            work({ enlisted: own, transaction, manager: undefined }),
          );
          await own.flush();
          await own.closing();
          return value;
        } catch (error) {
          await own.abandon();
          throw error;
        }
      });
      enlisted?.committed();
      return result;
    } catch (error) {
      await enlisted?.abandon();
      throw error;
    }
  }
}
