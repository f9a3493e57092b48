import type { Transactions } from '@sagaz/core';
import type { DataSource, QueryRunner } from 'typeorm';
import { OutsideTransactionError, TransactionEndedError } from './errors.js';
import { controlOf } from './transaction-control.js';
import { scopeOf } from './transaction-scope.js';
import { depthOf } from './typeorm-access.js';

type Ending = 'COMMIT' | 'ROLLBACK';

/** What a guard has to know about the DataSource of its query runner. */
export interface GuardedDataSource {
  readonly name: string;
  readonly dataSource: DataSource;
  /** Whether repositories join the ambient transaction here. */
  readonly joins: boolean;
  /** Gives what opens and ends its transactions the time that the store grants. */
  readonly control: Transactions['control'];
}

const guards = new WeakMap<QueryRunner, RunnerGuard>();

export function guardOf(queryRunner: QueryRunner): RunnerGuard | undefined {
  return guards.get(queryRunner);
}

/**
 * Lets no statement through that would be run by itself, outside of the transaction it was meant for:
 * one that follows COMMIT or ROLLBACK on the same connection, because the code that sends it was not
 * awaited, or one of a query runner that was made before the transaction began which surrounds it.
 *
 * It stands at `query`, where every way of TypeORM to the database ends, and not in a subscriber: between
 * a subscriber's `beforeQuery` and the statement, ROLLBACK may be sent.
 */
export class RunnerGuard {
  readonly #queryRunner: QueryRunner;
  readonly #guarded: GuardedDataSource;
  readonly #query: (...given: readonly unknown[]) => Promise<unknown>;
  readonly #running = new Set<Promise<unknown>>();
  /** Carries one transaction and is not used again. */
  #once: { readonly ending: () => void; readonly ended: () => void } | null = null;
  /** TypeORM is about to end the outermost transaction with this statement. */
  #ends: Ending | null = null;
  #closed = false;

  constructor(queryRunner: QueryRunner, guarded: GuardedDataSource) {
    this.#queryRunner = queryRunner;
    this.#guarded = guarded;
    this.#query = bound(queryRunner, 'query');
    guards.set(queryRunner, this);
    const start = bound(queryRunner, 'startTransaction');
    redefine(queryRunner, {
      query: (...given) => this.#run(given),
      startTransaction: (...given) => {
        const refusal = this.#refusal();
        // Before TypeORM has noted that a transaction is active.
        return refusal === null ? start(...given) : Promise.reject(refusal);
      },
      commitTransaction: this.#ender('commitTransaction', 'COMMIT'),
      rollbackTransaction: this.#ender('rollbackTransaction', 'ROLLBACK'),
    });
  }

  /** The connection's name. */
  get connection(): string {
    return this.#guarded.name;
  }

  /** Whether the transaction of this runner has ended, and no other will follow. */
  get closed(): boolean {
    return this.#closed && this.#once !== null;
  }

  /** It carries one transaction: from `ending` on no statement is let through, `ended` follows the answer. */
  once(hooks: { readonly ending: () => void; readonly ended: () => void }): void {
    this.#once = hooks;
  }

  /** Sends ROLLBACK whatever TypeORM believes; for a hook that has kept it from being sent. */
  async rollBack(): Promise<void> {
    await this.#end(['ROLLBACK']);
  }

  async #run(given: readonly unknown[]): Promise<unknown> {
    const [sql] = given;
    if (this.#ends !== null && sql === this.#ends) {
      this.#ends = null;
      return this.#end(given);
    }
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    if (typeof sql === 'string' && sql.startsWith('ROLLBACK TO SAVEPOINT typeorm_')) {
      // Statements of the savepoint must not be sent after its end.
      await this.#settle();
    }
    const running = this.#send(given);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #end(given: readonly unknown[]): Promise<unknown> {
    this.#closed = true;
    this.#once?.ending();
    try {
      await this.#settle();
      return await this.#send(given);
    } finally {
      // One that the application made may be used again, for the next transaction or without any.
      if (this.#once === null) this.#closed = false;
      this.#once?.ended();
    }
  }

  async #send(given: readonly unknown[]): Promise<unknown> {
    const control = controlOf(given[0]);
    if (control === null || this.#queryRunner.isReleased) return this.#query(...given);
    // The wait for a connection of the pool is none for an answer.
    const client: unknown = await this.#queryRunner.connect();
    return this.#guarded.control(client, control, () => this.#query(...given));
  }

  async #settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #ender(name: 'commitTransaction' | 'rollbackTransaction', statement: Ending) {
    const end = bound(this.#queryRunner, name);
    return async (): Promise<unknown> => {
      // Of a savepoint whose surroundings have ended meanwhile.
      if (this.#ofEndedScope()) throw new TransactionEndedError(`end a savepoint`);
      this.#ends = depthOf(this.#queryRunner) === 1 ? statement : null;
      try {
        return await end();
      } finally {
        this.#ends = null;
      }
    };
  }

  #ofEndedScope(): boolean {
    const scope = scopeOf(this.#guarded.dataSource);
    return scope?.queryRunner === this.#queryRunner && scope.state === 'ended';
  }

  #refusal(): Error | null {
    const scope = scopeOf(this.#guarded.dataSource);
    if (scope?.queryRunner === this.#queryRunner) {
      switch (scope.state) {
        case 'open':
          break;
        case 'ended':
          return new TransactionEndedError('run a statement');
        case 'left':
          return null;
      }
    }
    if (this.#closed) return new TransactionEndedError('run a statement');
    if (
      this.#guarded.joins &&
      this.#once === null &&
      scope?.joins === true &&
      scope.state === 'open' &&
      scope.queryRunner !== this.#queryRunner &&
      // In a transaction of its own it was given on purpose.
      depthOf(this.#queryRunner) === 0
    ) {
      return new OutsideTransactionError(this.#guarded.name);
    }
    return null;
  }
}

function bound(owner: object, name: string): (...given: readonly unknown[]) => Promise<unknown> {
  const method: unknown = Reflect.get(owner, name);
  if (typeof method !== 'function') throw new TypeError(`A query runner has no ${name}().`);
  return (...given) => Reflect.apply(method, owner, given) as Promise<unknown>;
}

function redefine(
  owner: object,
  methods: Readonly<Record<string, (...given: readonly unknown[]) => Promise<unknown>>>,
): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(owner, name, { configurable: true, writable: true, value });
  }
}
