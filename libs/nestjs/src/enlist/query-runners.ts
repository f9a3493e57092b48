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
 * Takes over the place where a DataSource makes its query runners. Everything that was not given one
 * asks here, at the moment it is used and not when it is made: repositories, custom ones too, managers,
 * `query`, query builders, `transaction` and the application itself. Inside an ambient transaction they
 * get that one's, where they join; without this they would work on a connection of their own, their rows
 * would stay when the transaction is rolled back, and they would wait for the pool while it holds one.
 *
 * Returns what undoes it.
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
 * The query runner of the ambient transaction; undefined: none surrounds the running code.
 *
 * @throws TransactionEndedError where it has ended, and the code was not awaited
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

/** Where there is no store that knows how long an answer may take. */
const unlimited: GuardedDataSource['control'] = (_client, _statement, send) => send();

/** One with a connection of its own, whatever surrounds the running code. */
export function newQueryRunner(
  dataSource: DataSource,
  mode?: Parameters<Make>[0],
): { readonly queryRunner: QueryRunner; readonly guard: RunnerGuard } {
  const known = taken.get(dataSource);
  const queryRunner = known?.make(mode) ?? dataSource.createQueryRunner(mode);
  // Not known to Sagaz: an application that uses the adapter alone.
  const guarded = known ?? { name: 'default', dataSource, joins: false, control: unlimited };
  return { queryRunner, guard: guardOf(queryRunner) ?? new RunnerGuard(queryRunner, guarded) };
}
