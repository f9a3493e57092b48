import { Propagation, type TransactionHost } from '@nestjs-cls/transactional';
import type { DataSource } from 'typeorm';
import { TransactionEndedError } from './errors.js';
import type { SagazTypeOrmAdapter } from './sagaz-typeorm.adapter.js';
import { TransactionScope, enterScope, scopeOf } from './transaction-scope.js';

type Run = () => Promise<unknown>;

/** The propagations that work in the surrounding transaction, if there is one. */
const JOINING: ReadonlySet<unknown> = new Set([
  Propagation.Required,
  Propagation.Mandatory,
  Propagation.Supports,
  Propagation.Nested,
]);

/**
 * Makes a host of nestjs-cls refuse to join a transaction that has ended. Otherwise a nested
 * `@Transactional()` in code that was not awaited would find no transaction and open one of its own.
 * Work with `NotSupported`, `Never` or `RequiresNew` leaves the transaction, ended or not. Returns a
 * function that undoes it.
 */
export function noticeEnds(
  host: TransactionHost<SagazTypeOrmAdapter>,
  dataSource: DataSource,
  /** Whether the host's adapter keeps the scopes of its transactions; otherwise this function does. */
  adapted: boolean,
): () => void {
  const open = host.withTransaction.bind(host) as (
    ...given: readonly unknown[]
  ) => Promise<unknown>;
  const leave = host.withoutTransaction.bind(host) as (work: Run) => Promise<unknown>;
  const scoped =
    (work: Run): Run =>
    async () => {
      const { queryRunner } = host.tx;
      if (queryRunner === undefined || scopeOf(dataSource)?.queryRunner === queryRunner)
        return work();
      const scope = new TransactionScope(queryRunner, { joins: false });
      enterScope(dataSource, scope);
      try {
        return await work();
      } finally {
        scope.end();
      }
    };
  const replaced = {
    withTransaction: (...given: readonly unknown[]): Promise<unknown> => {
      const propagation = typeof given[0] === 'string' ? given[0] : Propagation.Required;
      return JOINING.has(propagation) && scopeOf(dataSource)?.state === 'ended'
        ? Promise.reject(new TransactionEndedError('join a transaction'))
        : open(...given.map((one) => (isRun(one) && !adapted ? scoped(one) : one)));
    },
    withoutTransaction: (work: Run): Promise<unknown> =>
      leave(() => {
        enterScope(dataSource, undefined);
        return work();
      }),
  };
  for (const [name, value] of Object.entries(replaced)) {
    Object.defineProperty(host, name, { configurable: true, writable: true, value });
  }
  return () => {
    for (const name of Object.keys(replaced)) Reflect.deleteProperty(host, name);
  };
}

function isRun(value: unknown): value is Run {
  return typeof value === 'function';
}
