import type { TransactionalAdapter, TransactionalAdapterOptions } from '@nestjs-cls/transactional';
import { Logger } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { isCommitted } from './transaction-subscriber.js';

/** Options of `@Transactional()` and of `TransactionHost.withTransaction`. */
export interface SagazTransactionOptions {
  /** Default: the DataSource's own, else the database's. */
  readonly isolationLevel?: Parameters<QueryRunner['startTransaction']>[0];
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
  readonly #logger = new Logger('SagazTypeOrmAdapter');

  /** @param connectionToken token of the DataSource, `getDataSourceToken('billing')` for a named one */
  constructor(
    readonly connectionToken: ReturnType<typeof getDataSourceToken> = getDataSourceToken(),
  ) {}

  readonly optionsFactory = (dataSource: DataSource): Options => {
    adapted.add(dataSource);
    return {
      wrapWithTransaction: async (options, work, setTransaction) => {
        const queryRunner = dataSource.createQueryRunner();
        try {
          await queryRunner.startTransaction(options.isolationLevel);
          let result: unknown;
          try {
            setTransaction(queryRunner.manager);
            result = await work();
          } catch (error) {
            await this.#rollBack(queryRunner);
            throw error;
          }
          await this.#commit(queryRunner);
          return result;
        } finally {
          await queryRunner.release();
        }
      },
      wrapWithNestedTransaction: (_options, work, setTransaction, manager) =>
        manager.transaction((nested) => {
          setTransaction(nested);
          return work();
        }),
      getFallbackInstance: () => dataSource.manager,
    };
  };

  async #commit(queryRunner: QueryRunner): Promise<void> {
    try {
      await queryRunner.commitTransaction();
    } catch (error) {
      if (isCommitted(queryRunner)) {
        // Somebody's after-commit hook threw. To the caller this is a committed transaction; told
        // otherwise it would do everything again.
        this.#logger.error('A hook after a commit failed; the transaction is committed.', error);
        return;
      }
      await this.#rollBack(queryRunner);
      throw error;
    }
  }

  async #rollBack(queryRunner: QueryRunner): Promise<void> {
    try {
      await queryRunner.rollbackTransaction();
    } catch {
      // A subscriber that throws before the rollback keeps ROLLBACK from being sent. The connection
      // must not go back to the pool inside a transaction; where it is lost, this fails as well.
      if (queryRunner.isTransactionActive) {
        await queryRunner.query('ROLLBACK').catch(() => undefined);
      }
    }
  }
}
