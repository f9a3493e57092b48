import { Logger } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { StatementsUnderWayError } from './errors.js';
import { inOwnTransaction, type IsolationLevel } from './own-transaction.js';
import { ambientQueryRunner } from './query-runners.js';
import { Savepoint } from './savepoint.js';
import type { Interception } from './managers.js';
import { TransactionScope, inScope, scopeOf } from './transaction-scope.js';

const logger = new Logger('Sagaz');

type Work = (manager: EntityManager) => Promise<unknown>;

/**
 * `manager.transaction()` and `dataSource.transaction()`: a savepoint inside an ambient transaction,
 * else a transaction of its own. It works as in TypeORM, except that statements of code in it that was
 * not awaited are refused once the savepoint or the transaction has ended.
 */
export function transactionOf(dataSource: DataSource, joins: boolean): Interception {
  return (manager, original, given) => {
    const [first, second] = given;
    const work: unknown = typeof first === 'function' ? first : second;
    if (!isWork(work)) return original(...given);
    const { queryRunner } = manager;
    if (queryRunner === undefined) {
      return withoutRunner(dataSource, joins, isolationOf(first), work);
    }
    const scope = scopeOf(dataSource);
    if (scope?.queryRunner === queryRunner && queryRunner.isTransactionActive) {
      return inSavepoint(dataSource, scope, work);
    }
    return original(...given);
  };
}

async function withoutRunner(
  dataSource: DataSource,
  joins: boolean,
  isolationLevel: IsolationLevel,
  work: Work,
): Promise<unknown> {
  const ambient = joins ? ambientQueryRunner(dataSource, 'open a transaction') : undefined;
  const scope = scopeOf(dataSource);
  if (ambient !== undefined && scope !== undefined) return inSavepoint(dataSource, scope, work);
  return inOwnTransaction(dataSource, isolationLevel === undefined ? {} : { isolationLevel }, work);
}

async function inSavepoint(
  dataSource: DataSource,
  around: TransactionScope,
  work: Work,
): Promise<unknown> {
  const { queryRunner, joins } = around;
  const savepoint = await Savepoint.open(queryRunner);
  const scope = new TransactionScope(queryRunner, { joins, around });
  try {
    const result = await inScope(dataSource, scope, () => work(queryRunner.manager));
    scope.end();
    await savepoint.release();
    return result;
  } catch (error) {
    scope.end();
    // As in TypeORM, the error of the work is thrown, since it says more than an error of its rollback.
    await savepoint.rollBack().catch((failure: unknown) => {
      // The surrounding transaction is lost with its connection, and may end with the error of the work.
      if (failure instanceof StatementsUnderWayError) logger.error(failure.message);
    });
    throw error;
  }
}

function isWork(value: unknown): value is Work {
  return typeof value === 'function';
}

function isolationOf(value: unknown): IsolationLevel {
  return typeof value === 'string' ? (value as IsolationLevel) : undefined;
}
