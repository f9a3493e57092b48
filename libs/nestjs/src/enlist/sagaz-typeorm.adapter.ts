import type { TransactionalAdapter, TransactionalAdapterOptions } from '@nestjs-cls/transactional';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { inOwnTransaction, type IsolationLevel } from './own-transaction.js';

/** Options of `@Transactional()` and of `TransactionHost.withTransaction`. */
export interface SagazTransactionOptions {
  /** Default: the DataSource's own, else the database's. */
  readonly isolationLevel?: IsolationLevel;
}

type Options = TransactionalAdapterOptions<EntityManager, SagazTransactionOptions>;

const adapted = new WeakSet<DataSource>();

/** Whether transactions of this DataSource are opened by {@link SagazTypeOrmAdapter}. */
export function isAdapted(dataSource: DataSource): boolean {
  return adapted.has(dataSource);
}

/**
 * The transactional adapter for `ClsPluginTransactional` whose transactions repositories can join.
 *
 * ```ts
 * ClsModule.forRoot({
 *   plugins: [new ClsPluginTransactional({ imports: [TypeOrmModule], adapter: new SagazTypeOrmAdapter() })],
 * })
 * ```
 *
 * It opens its own query runner instead of calling `dataSource.transaction()`: with repositories
 * joining, the latter takes the ambient transaction's runner for one that is not its own, leaks it,
 * and turns `REQUIRES_NEW` into a savepoint that is rolled back with the outer transaction.
 */
export class SagazTypeOrmAdapter implements TransactionalAdapter<
  DataSource,
  EntityManager,
  SagazTransactionOptions
> {
  /** @param connectionToken token of the DataSource, `getDataSourceToken('billing')` for a named one */
  constructor(
    readonly connectionToken: ReturnType<typeof getDataSourceToken> = getDataSourceToken(),
  ) {}

  /** Called by `@nestjs-cls/transactional`: how a transaction of this data source is begun and ended. */
  readonly optionsFactory = (dataSource: DataSource): Options => {
    adapted.add(dataSource);
    return {
      wrapWithTransaction: (options, work, setTransaction) =>
        inOwnTransaction(dataSource, { ...options, setTransaction }, () => work()),
      wrapWithNestedTransaction: (_options, work, setTransaction, manager) =>
        manager.transaction((nested) => {
          setTransaction(nested);
          return work();
        }),
      getFallbackInstance: () => dataSource.manager,
    };
  };
}
