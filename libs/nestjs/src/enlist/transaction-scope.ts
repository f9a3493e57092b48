import { ClsServiceManager } from 'nestjs-cls';
import type { DataSource, QueryRunner } from 'typeorm';

interface ScopeOptions {
  /** Whether repositories and the DataSource work on this transaction. Default true. */
  readonly joins?: boolean;
  /**
   * What the code of this scope finds once the transaction has ended. `ended` (default): an error, for
   * code that nobody awaited. `left`: no transaction, for hooks that are meant to run after the end.
   */
  readonly then?: 'ended' | 'left';
  /** The scope of the transaction that a savepoint lies in. */
  readonly around?: TransactionScope;
}

/**
 * The code that runs in one transaction, or in one savepoint of it: a function and everything it
 * called, for as long as any of that still runs. It outlives the transaction where something was not
 * awaited, `Promise.all` with a rejection for instance, and that is why it remembers the end: an ended
 * transaction is not the same as none.
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

/** One for each DataSource: transactions of several may surround the same code. */
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
 * who leaves its context has left the transaction, too.
 */
export function scopeOf(dataSource: DataSource): TransactionScope | undefined {
  if (!cls.isActive()) return undefined;
  return cls.get<TransactionScope | undefined>(keyOf(dataSource));
}

/** Makes it the scope of the running context of nestjs-cls; undefined: of no transaction. */
export function enterScope(dataSource: DataSource, scope: TransactionScope | undefined): void {
  cls.set(keyOf(dataSource), scope);
}

/** Runs `work` in the scope, and nothing else. */
export function inScope<T>(dataSource: DataSource, scope: TransactionScope, work: () => T): T {
  return cls.run({ ifNested: 'inherit' }, () => {
    enterScope(dataSource, scope);
    return work();
  });
}
