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
   * Makes the manager the ambient one of the running context, which must be this transaction's own;
   * undefined: none. Left out: the transaction is known to the code that is given its manager alone.
   */
  readonly setTransaction?: (manager: EntityManager | undefined) => void;
}

const logger = new Logger('Sagaz');

/**
 * Runs `work` in a transaction on a connection of its own. What was not awaited in it is refused once
 * it has ended, instead of being run by itself.
 */
export async function inOwnTransaction<T>(
  dataSource: DataSource,
  { isolationLevel, setTransaction }: OwnTransaction,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const { queryRunner, guard } = newQueryRunner(dataSource);
  const joins = setTransaction !== undefined;
  const scope = new TransactionScope(queryRunner, { joins });
  // Subscribers' hooks around COMMIT and ROLLBACK join before it, and stand by themselves after it.
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
    await queryRunner.startTransaction(isolationLevel);
    let result: T;
    try {
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
    if (depthOf(queryRunner) > 1) throw new UnfinishedSavepointError(guard.connection);
    await queryRunner.commitTransaction();
  } catch (error) {
    if (isCommitted(queryRunner)) {
      // Somebody's after-commit hook threw. To the caller this is a committed transaction; told
      // otherwise it would do everything again.
      logger.error('A hook after a commit failed; the transaction is committed.', error);
      return;
    }
    await rollBack(queryRunner, guard);
    throw error;
  }
}

/** The whole transaction, also where code that nobody awaited has savepoints open. */
async function rollBack(queryRunner: QueryRunner, guard: RunnerGuard): Promise<void> {
  try {
    for (let depth = depthOf(queryRunner); depth > 0; depth -= 1) {
      await queryRunner.rollbackTransaction();
    }
  } catch {
    // A subscriber that throws before the rollback keeps ROLLBACK from being sent. The connection
    // must not go back to the pool inside a transaction; where it is lost, this fails as well.
    if (queryRunner.isTransactionActive) await guard.rollBack().catch(() => undefined);
  }
}
