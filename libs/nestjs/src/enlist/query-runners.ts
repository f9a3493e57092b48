import type { DataSource, QueryRunner } from 'typeorm';
import { TransactionEndedError } from './errors.js';
import { joinedQueryRunner } from './joined-query-runner.js';
import { RunnerGuard, guardOf, type GuardedDataSource } from './runner-guard.js';
import { scopeOf } from './transaction-scope.js';

type Make = DataSource['createQueryRunner'];

interface Taken extends GuardedDataSource {
  readonly make: Make;
}

const taken = new WeakMap<DataSource, Taken>();

/**
 * Replaces the method by which a DataSource makes its query runners. All users of the DataSource that
 * were not given a query runner call it at the moment of use: repositories, custom ones too, managers,
 * `query`, query builders, `transaction` and the application itself. Inside an ambient transaction they
 * get the query runner of that transaction, if they join. Otherwise they would work on a connection of
 * their own, their rows would stay when the transaction is rolled back, and they would wait for the
 * pool while the transaction holds a connection.
 *
 * Returns a function that undoes the replacement.
 */
export function takeOverQueryRunners(guarded: GuardedDataSource): () => void {
  const { dataSource, joins } = guarded;
  taken.set(dataSource, { ...guarded, make: dataSource.createQueryRunner.bind(dataSource) });
  const make: Make = (mode) =>
    (joins ? joined(dataSource, 'use the DataSource') : undefined) ??
    newQueryRunner(dataSource, mode).queryRunner;
  Object.defineProperty(dataSource, 'createQueryRunner', { configurable: true, value: make });
  return () => {
    taken.delete(dataSource);
    Reflect.deleteProperty(dataSource, 'createQueryRunner');
  };
}

function joined(dataSource: DataSource, action: string): QueryRunner | undefined {
  const queryRunner = ambientQueryRunner(dataSource, action);
  return queryRunner === undefined ? undefined : joinedQueryRunner(queryRunner);
}

/**
 * Returns the query runner of the ambient transaction; undefined: the running code is in none.
 *
 * @throws TransactionEndedError when it has ended, because the code was not awaited
 */
export function ambientQueryRunner(
  dataSource: DataSource,
  action: string,
): QueryRunner | undefined {
  const scope = scopeOf(dataSource);
  if (scope === undefined || !scope.joins) return undefined;
  switch (scope.state) {
    case 'open':
      return scope.queryRunner.isTransactionActive ? scope.queryRunner : undefined;
    case 'ended':
      throw new TransactionEndedError(action);
    case 'left':
      return undefined;
  }
}

/** Used without a store, which would know how long an answer may take. */
const unlimited: GuardedDataSource['control'] = (_client, _statement, send) => send();

/** Makes a query runner with a connection of its own, also inside an ambient transaction. */
export function newQueryRunner(
  dataSource: DataSource,
  mode?: Parameters<Make>[0],
): { readonly queryRunner: QueryRunner; readonly guard: RunnerGuard } {
  const known = taken.get(dataSource);
  const queryRunner = known?.make(mode) ?? dataSource.createQueryRunner(mode);
  // Sagaz does not know the DataSource if the application uses the adapter alone.
  const guarded = known ?? { name: 'default', dataSource, joins: false, control: unlimited };
  return { queryRunner, guard: guardOf(queryRunner) ?? new RunnerGuard(queryRunner, guarded) };
}
