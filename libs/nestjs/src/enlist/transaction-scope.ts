import { ClsServiceManager } from 'nestjs-cls';
import type { DataSource, QueryRunner } from 'typeorm';

interface ScopeOptions {
  /** Whether repositories and the DataSource work on this transaction. Default true. */
  readonly joins?: boolean;
  /**
   * The answer to code of this scope once the transaction has ended. `ended` (default): an error, for code
   * that was not awaited. `left`: no transaction, for hooks that are meant to run after the end.
   */
  readonly then?: 'ended' | 'left';
  /** The scope of the transaction that contains the savepoint. */
  readonly around?: TransactionScope;
}

/**
 * The code that runs in one transaction, or in one savepoint of it: a function and everything it
 * called, for as long as any of that still runs. It outlives the transaction if some of the code was
 * not awaited, as after a rejected `Promise.all`. Therefore it remembers the end: an ended transaction
 * is not the same as none.
 */
export class TransactionScope {
  readonly queryRunner: QueryRunner;
  readonly joins: boolean;
  readonly #then: 'ended' | 'left';
  readonly #around: TransactionScope | undefined;
  #over = false;

  constructor(
    queryRunner: QueryRunner,
    { joins = true, then = 'ended', around }: ScopeOptions = {},
  ) {
    this.queryRunner = queryRunner;
    this.joins = joins;
    this.#then = then;
    this.#around = around;
  }

  get state(): 'open' | 'ended' | 'left' {
    if (this.#over) return this.#then;
    return this.#around?.state ?? 'open';
  }

  end(): void {
    this.#over = true;
  }
}

const cls = ClsServiceManager.getClsService();
const keys = new WeakMap<DataSource, symbol>();

/** There is a key for each DataSource, since transactions of several may surround the same code. */
function keyOf(dataSource: DataSource): symbol {
  let key = keys.get(dataSource);
  if (key === undefined) {
    key = Symbol('sagaz.transaction-scope');
    keys.set(dataSource, key);
  }
  return key;
}

/**
 * The scope that the running code belongs to. It is kept beside the transaction of nestjs-cls, so that
 * code which leaves that context has left the transaction, too.
 */
export function scopeOf(dataSource: DataSource): TransactionScope | undefined {
  if (!cls.isActive()) return undefined;
  return cls.get<TransactionScope | undefined>(keyOf(dataSource));
}

/** Sets the scope of the running context of nestjs-cls; undefined: no transaction. */
export function enterScope(dataSource: DataSource, scope: TransactionScope | undefined): void {
  cls.set(keyOf(dataSource), scope);
}

/** Runs only `work` in the scope, and not the code that follows. */
export function inScope<T>(dataSource: DataSource, scope: TransactionScope, work: () => T): T {
  return cls.run({ ifNested: 'inherit' }, () => {
    enterScope(dataSource, scope);
    return work();
  });
}
