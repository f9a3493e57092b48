import { Readable } from 'node:stream';
import { isSagazError, propertyOf, type Transactions } from '@sagaz/core';
import type { DataSource, QueryRunner } from 'typeorm';
import {
  OutsideTransactionError,
  StatementsUnderWayError,
  TransactionEndedError,
} from './errors.js';
import { controlOf } from './transaction-control.js';
import { scopeOf } from './transaction-scope.js';
import { depthOf } from './typeorm-access.js';

type Ending = 'COMMIT' | 'ROLLBACK';

/** The DataSource of a query runner, as far as its guard needs it. */
export interface GuardedDataSource {
  readonly name: string;
  readonly dataSource: DataSource;
  /** Whether repositories of this DataSource join the ambient transaction. */
  readonly joins: boolean;
  /** Applies the time limits of the store to statements that open and end transactions. */
  readonly control: Transactions['control'];
}

const guards = new WeakMap<QueryRunner, RunnerGuard>();

export function guardOf(queryRunner: QueryRunner): RunnerGuard | undefined {
  return guards.get(queryRunner);
}

/**
 * Refuses statements that would run outside of the transaction they were meant for: a statement that
 * follows COMMIT or ROLLBACK on the same connection, because the code that sends it was not awaited,
 * and a statement of a query runner that was made before the transaction around the code began.
 *
 * It wraps `query` and `stream`, through which all statements of TypeORM pass. A subscriber would not do,
 * because ROLLBACK may be sent between its `beforeQuery` and the statement.
 */
export class RunnerGuard {
  readonly #queryRunner: QueryRunner;
  readonly #guarded: GuardedDataSource;
  readonly #query: (...given: readonly unknown[]) => Promise<unknown>;
  readonly #stream: (...given: readonly unknown[]) => Promise<unknown>;
  /** The statements under way, with their text. */
  readonly #running = new Map<Promise<unknown>, unknown>();
  /** Set when the connection was closed, because a statement waited too long for others. */
  #lost: StatementsUnderWayError | null = null;
  /** Streams of rows that were not read to their end. The next statement waits until they are. */
  readonly #unread = new Set<Readable>();
  /** Set if the query runner carries one transaction and is not used again. */
  #once: { readonly ending: () => void; readonly ended: () => void } | null = null;
  /** The end of the outermost transaction that TypeORM is about to send; null: none. */
  #ends: Ending | null = null;
  #closed = false;

  constructor(queryRunner: QueryRunner, guarded: GuardedDataSource) {
    this.#queryRunner = queryRunner;
    this.#guarded = guarded;
    this.#query = bound(queryRunner, 'query');
    this.#stream = bound(queryRunner, 'stream');
    guards.set(queryRunner, this);
    const start = bound(queryRunner, 'startTransaction');
    redefine(queryRunner, {
      query: (...given) => this.#run(given),
      stream: (...given) => this.#open(given),
      startTransaction: (...given) => {
        const refusal = this.#refusal();
        // Called before TypeORM has noted that a transaction is active.
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

  /** The reason for which its connection was closed together with its transaction; null: it was not. */
  get lost(): StatementsUnderWayError | null {
    return this.#lost;
  }

  /**
   * Declares that the query runner carries one transaction. From `ending` on no statement is let
   * through; `ended` is called after the answer.
   */
  once(hooks: { readonly ending: () => void; readonly ended: () => void }): void {
    this.#once = hooks;
  }

  /**
   * Sends ROLLBACK regardless of TypeORM's state; needed when a hook has prevented TypeORM from sending
   * it.
   */
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
      await this.#settled(sql, () => this.#settle());
    }
    return this.#counted(sql, this.#send(given));
  }

  async #counted<T>(sql: unknown, running: Promise<T>): Promise<T> {
    this.#running.set(running, sql);
    try {
      return await running;
    } catch (error) {
      throw this.#lost ?? ownErrorOf(error);
    } finally {
      this.#running.delete(running);
    }
  }

  async #open(given: readonly unknown[]): Promise<unknown> {
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    const stream = await this.#counted(given[0], this.#stream(...given));
    if (stream instanceof Readable) {
      this.#unread.add(stream);
      stream.once('close', () => this.#unread.delete(stream));
    }
    return stream;
  }

  /** Closes the streams that nobody has read to their end, because COMMIT and ROLLBACK would wait for it. */
  #closeStreams(): void {
    for (const stream of this.#unread) {
      // An error that nobody listens for would end the process.
      const heard = stream.listenerCount('error') > 0;
      stream.destroy(heard ? new TransactionEndedError('read a stream') : undefined);
    }
  }

  async #end(given: readonly unknown[]): Promise<unknown> {
    this.#closed = true;
    this.#once?.ending();
    try {
      return await this.#send(given, true);
    } finally {
      // A query runner that the application made may be used again, for the next transaction or without
      // one.
      if (this.#once === null) this.#closed = false;
      this.#once?.ended();
    }
  }

  /**
   * COMMIT and ROLLBACK wait for statements that their code did not await. The time limit of ROLLBACK
   * includes that wait, because the effect of those statements is not wanted any more.
   *
   * @param ends whether it ends the transaction for TypeORM; SQL of the application's own does not
   */
  async #send(given: readonly unknown[], ends = false): Promise<unknown> {
    const [sql] = given;
    const control = controlOf(sql);
    if (control === null || this.#queryRunner.isReleased) return this.#query(...given);
    if (ends && control === 'commit') {
      this.#closeStreams();
      await this.#settled(sql, () => this.#settle());
      this.#closeStreams();
    }
    // The wait for a connection of the pool does not count towards the time limit of the statement.
    const client: unknown = await this.#queryRunner.connect();
    return this.#guarded.control(
      client,
      control,
      async () => {
        if (ends && control === 'rollback') {
          await this.#settle();
          this.#closeStreams();
        }
        return this.#query(...given);
      },
      (limitMs) => {
        this.#lose(sql, limitMs);
      },
    );
  }

  /**
   * Waits for statements under way before `ending` is sent, as long as the store allows. After that their
   * connection is closed, because nobody may ever end them: they may wait for a lock.
   */
  async #settled(ending: unknown, settle: () => Promise<unknown>): Promise<void> {
    if (this.#running.size === 0) return;
    const client: unknown = await this.#queryRunner.connect();
    try {
      await this.#guarded.control(client, 'settle', settle, (limitMs) => {
        this.#lose(ending, limitMs);
      });
    } catch (error) {
      throw this.#lost ?? error;
    }
  }

  /** Notes for which statements the connection is about to be closed. */
  #lose(ending: unknown, limitMs: number): void {
    const others = [...this.#running.values()].filter((sql) => sql !== ending);
    if (others.length === 0) return;
    const { name } = this.#guarded;
    this.#lost ??= new StatementsUnderWayError(name, String(ending), limitMs, others.map(String));
  }

  async #settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.keys());
  }

  #ender(name: 'commitTransaction' | 'rollbackTransaction', statement: Ending) {
    const end = bound(this.#queryRunner, name);
    return async (): Promise<unknown> => {
      // The statement ends a savepoint whose surrounding transaction has ended meanwhile.
      if (this.#ofEndedScope()) throw new TransactionEndedError(`end a savepoint`);
      if (statement === 'COMMIT' && depthOf(this.#queryRunner) === 1) {
        // The statements of hooks before COMMIT would wait for these as well. Later ones are not waited
        // for here, because code that was not awaited may send one after another.
        this.#closeStreams();
        await this.#settled(statement, () => Promise.allSettled(this.#running.keys()));
      }
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
    if (this.#lost !== null) return this.#lost;
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
      // A query runner in a transaction of its own was given to the code on purpose.
      depthOf(this.#queryRunner) === 0
    ) {
      return new OutsideTransactionError(this.#guarded.name);
    }
    return null;
  }
}

/** TypeORM wraps each error of a statement. One of Sagaz already says what is to be done. */
function ownErrorOf(error: unknown): unknown {
  const wrapped = propertyOf(error, 'driverError');
  return isSagazError(wrapped) ? wrapped : error;
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
