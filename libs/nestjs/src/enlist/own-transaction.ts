import { Logger } from '@nestjs/common';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { UnfinishedSavepointError } from './errors.js';
import { newQueryRunner } from './query-runners.js';
import type { RunnerGuard } from './runner-guard.js';
import { isCommitted } from './transaction-subscriber.js';
import { TransactionScope, enterScope, inScope } from './transaction-scope.js';
import { depthOf } from './typeorm-access.js';

export type IsolationLevel = Parameters<QueryRunner['startTransaction']>[0];

interface OwnTransaction {
  readonly isolationLevel?: IsolationLevel;
  /**
   * Sets the ambient manager of the running context, which must belong to this transaction alone;
   * undefined: none. If it is left out, only code that is given the manager knows the transaction.
   */
  readonly setTransaction?: (manager: EntityManager | undefined) => void;
}

const logger = new Logger('Sagaz');

/**
 * Runs `work` in a transaction on a connection of its own. Statements that were not awaited in it are
 * refused once it has ended, instead of running outside of it.
 */
export async function inOwnTransaction<T>(
  dataSource: DataSource,
  { isolationLevel, setTransaction }: OwnTransaction,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const { queryRunner, guard } = newQueryRunner(dataSource);
  const joins = setTransaction !== undefined;
  const scope = new TransactionScope(queryRunner, { joins });
  // Hooks of subscribers join the transaction before COMMIT or ROLLBACK, and run outside of it
  // afterwards.
  const hooks = new TransactionScope(queryRunner, { joins, then: 'left' });
  const inHooks = <R>(end: () => Promise<R>): Promise<R> => inScope(dataSource, hooks, end);
  guard.once({
    ending: () => {
      scope.end();
    },
    ended: () => {
      hooks.end();
      setTransaction?.(undefined);
    },
  });
  try {
    let result: T;
    try {
      await queryRunner.startTransaction(isolationLevel);
      if (setTransaction !== undefined) {
        enterScope(dataSource, scope);
        setTransaction(queryRunner.manager);
      }
      result = await work(queryRunner.manager);
    } catch (error) {
      scope.end();
      await inHooks(() => rollBack(queryRunner, guard));
      throw error;
    }
    await inHooks(() => commit(queryRunner, guard));
    return result;
  } finally {
    scope.end();
    await queryRunner.release();
  }
}

async function commit(queryRunner: QueryRunner, guard: RunnerGuard): Promise<void> {
  try {
    if (guard.lost !== null) throw guard.lost;
    if (depthOf(queryRunner) > 1) throw new UnfinishedSavepointError(guard.connection);
    await queryRunner.commitTransaction();
  } catch (error) {
    if (isCommitted(queryRunner)) {
      // An after-commit hook of a subscriber threw. The transaction is committed, and the caller must
      // not get an error, or it would repeat everything.
      logger.error('A hook after a commit failed; the transaction is committed.', error);
      return;
    }
    await rollBack(queryRunner, guard);
    throw error;
  }
}

/**
 * Rolls back the whole transaction, if one is open, even if code that was not awaited has savepoints
 * open. Never rejects: if the connection is lost, the transaction is lost with it.
 */
export async function rollBack(queryRunner: QueryRunner, guard: RunnerGuard): Promise<void> {
  try {
    for (let depth = depthOf(queryRunner); depth > 0; depth -= 1) {
      await queryRunner.rollbackTransaction();
    }
  } catch {
    // Whether ROLLBACK was sent is judged by the state of the query runner.
  }
  // A subscriber that throws before the rollback, or after the start, prevents TypeORM from sending
  // ROLLBACK. The connection must not return to the pool inside a transaction. If the connection is
  // lost, this fails as well.
  if (queryRunner.isTransactionActive) await guard.rollBack().catch(() => undefined);
}
