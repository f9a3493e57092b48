import { TransactionNotStartedError, type QueryRunner } from 'typeorm';
import { Savepoint } from './savepoint.js';

/**
 * Makes a query runner that works in the transaction of another one. Its user need not know that:
 * releasing it releases nothing, its transactions are savepoints, and it can end only transactions that
 * it has started itself.
 */
export function joinedQueryRunner(queryRunner: QueryRunner): QueryRunner {
  const savepoints: Savepoint[] = [];
  let manager = queryRunner.manager;
  const last = (): Savepoint => {
    const savepoint = savepoints.pop();
    if (savepoint === undefined) throw new TransactionNotStartedError();
    return savepoint;
  };
  const own = new Map<PropertyKey, () => Promise<void>>([
    ['release', () => Promise.resolve()],
    ['startTransaction', async () => void savepoints.push(await Savepoint.open(queryRunner))],
    ['commitTransaction', async () => last().release()],
    ['rollbackTransaction', async () => last().rollBack()],
  ]);

  return new Proxy(queryRunner, {
    get(target, name) {
      if (name === 'manager') return manager;
      const replaced = own.get(name);
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set(target, name, value) {
      // createEntityManager(queryRunner) sets the manager of this query runner; that of the transaction
      // stays.
      if (name === 'manager') manager = value as typeof manager;
      else Reflect.set(target, name, value, target);
      return true;
    },
  });
}
