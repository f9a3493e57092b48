import { Propagation, type TransactionHost } from '@nestjs-cls/transactional';
import { hintSlots, type Store } from '@sagaz/core';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { ConcurrencyLimit, type Place, type PlaceRequest } from './concurrency-limit.js';
import type { Connection, ConnectionParts, UnitOfWork, UnitOfWorkOptions } from './connection.js';
import { detached } from './detached.js';
import { EnlistedTransaction } from './enlisted-transaction.js';
import { entityPersistence } from './entity-persistence.js';
import {
  InvalidPoolSizeError,
  NoTransactionError,
  PoolTooSmallError,
  StoreElsewhereError,
  TransactionEndedError,
  TransactionHostError,
} from './errors.js';
import { interceptManagers } from './managers.js';
import { transactionOf } from './nested-transactions.js';
import { ambientQueryRunner, newQueryRunner, takeOverQueryRunners } from './query-runners.js';
import { hasRecorded } from './recorded-messages.js';
import { guardOf } from './runner-guard.js';
import { isSameDatabase } from './same-database.js';
import { isAdapted, type SagazTypeOrmAdapter } from './sagaz-typeorm.adapter.js';
import { rollBack } from './own-transaction.js';
import { SHOW_ISOLATION } from './transaction-control.js';
import { transactionEndsOf } from './transaction-ends.js';
import { noticeEnds } from './transaction-hosts.js';
import { TransactionSubscriber, type EnlistedTransactions } from './transaction-subscriber.js';
import { dataSourceOf, depthOf, poolOf } from './typeorm-access.js';
import { coverWriteBuilders } from './write-builders.js';

export type TypeOrmTransactionHost = TransactionHost<SagazTypeOrmAdapter>;

export interface TypeOrmConnectionParts extends ConnectionParts {
  readonly dataSource: DataSource;
  /** `join`: repositories work on the ambient transaction. `off`: only an explicit manager does. */
  readonly ambient: 'join' | 'off';
  /**
   * The application's own host of this connection; undefined until the modules are made, or when
   * there is none. Never the static one: the last application that started in the process owns it.
   */
  readonly host: () => TypeOrmTransactionHost | undefined;
}

/** A TypeORM DataSource whose transactions carry messages into the store in the same database. */
export class TypeOrmConnection implements Connection, EnlistedTransactions {
  readonly name: string;
  readonly store: Store;
  readonly dataSource: DataSource;
  readonly concurrency: number;
  readonly #parts: TypeOrmConnectionParts;
  readonly #limit: ConcurrencyLimit;
  readonly #enlisted = new WeakMap<QueryRunner, EnlistedTransaction>();
  readonly #undo: (() => void)[] = [];
  /** Set where the role's default is another one: the store's statements need READ COMMITTED. */
  #isolation: 'READ COMMITTED' | undefined;

  constructor(parts: TypeOrmConnectionParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.store = parts.store;
    this.dataSource = parts.dataSource;
    // One connection stays free for what does not join, a REQUIRES_NEW for instance.
    const pool = poolOf(parts.dataSource);
    const size = pool?.max ?? 10;
    if (!Number.isInteger(size) || size < 1) {
      throw new InvalidPoolSizeError(parts.name, Reflect.get(pool?.options ?? {}, 'max'));
    }
    this.concurrency = Math.max(1, size - 1);
    this.#limit = new ConcurrencyLimit(this.concurrency);
    this.#enlist();
  }

  current(action: string): EnlistedTransaction | undefined {
    const queryRunner = this.#ambient(action);
    return queryRunner?.isTransactionActive === true ? this.of(queryRunner) : undefined;
  }

  /**
   * Returns the transaction of a manager. A manager without a query runner of its own, for instance
   * that of the DataSource, works in the ambient transaction.
   *
   * @throws NoTransactionError when no transaction of it is open
   * @throws TransactionEndedError when the manager belongs to a transaction that has ended
   */
  ofManager(manager: EntityManager, action: string): EnlistedTransaction {
    const joined = this.#parts.ambient === 'join' ? () => this.#ambient(action) : () => undefined;
    const queryRunner = manager.queryRunner ?? joined();
    if (queryRunner !== undefined && guardOf(queryRunner)?.closed === true) {
      throw new TransactionEndedError(action);
    }
    if (queryRunner?.isTransactionActive !== true) {
      throw new NoTransactionError(action, this.name, 'the manager has no transaction open');
    }
    return this.of(queryRunner);
  }

  async run<T>(
    work: (unit: UnitOfWork) => Promise<T>,
    { last, join, ...request }: UnitOfWorkOptions = {},
  ): Promise<T> {
    if (join !== true) return this.#limit.run(() => this.#run(work, last), request);
    const manager = this.#ambient('join a transaction')?.manager;
    if (manager === undefined) return this.#run(work, last);
    const enlisted = this.ofManager(manager, 'join the transaction');
    return work({ enlisted, transaction: await enlisted.transaction(), manager });
  }

  reserve(request: PlaceRequest): Promise<Place> {
    return this.#limit.reserve(request);
  }

  assertJoinable(): void {
    this.#requireHost();
    const size = poolOf(this.dataSource)?.max;
    if (size !== undefined && size < 2) throw new PoolTooSmallError(this.name, size);
  }

  async check(): Promise<void> {
    const { queryRunner, guard } = newQueryRunner(this.dataSource);
    await this.#connected(queryRunner);
    try {
      await queryRunner.startTransaction();
      await this.#requireSameDatabase(queryRunner);
      const answer: unknown = await queryRunner.query(SHOW_ISOLATION);
      const row: unknown = Array.isArray(answer) ? answer[0] : undefined;
      const level: unknown =
        typeof row === 'object' && row !== null
          ? Reflect.get(row, 'default_transaction_isolation')
          : undefined;
      this.#isolation = level === 'read committed' ? undefined : 'READ COMMITTED';
    } finally {
      await rollBack(queryRunner, guard);
      await queryRunner.release();
    }
    if (this.#parts.ambient === 'join' && this.#parts.host() !== undefined) this.#requireHost();
  }

  dispose(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }

  find(queryRunner: QueryRunner): EnlistedTransaction | undefined {
    return this.#enlisted.get(queryRunner);
  }

  of(queryRunner: QueryRunner): EnlistedTransaction {
    const known = this.#enlisted.get(queryRunner);
    if (known !== undefined) return known;
    const { name, store, source, logger, observer } = this.#parts;
    const enlisted = new EnlistedTransaction({
      connection: name,
      source,
      outbox: store.outbox,
      logger,
      depth: () => depthOf(queryRunner),
      open: async () => {
        // The store uses pg's own client in this very transaction, which takes half the time per
        // statement of TypeORM's query.
        const client: unknown = await queryRunner.connect();
        return { transaction: store.transactions.enlist(client), ends: transactionEndsOf(client) };
      },
      written: (messages) => {
        detached(() => hintSlots(store.wakeUps, 'outbox', messages));
        observer.written?.(name, messages.length);
      },
      lost: (count) => observer.lost?.(name, count),
    });
    this.#enlisted.set(queryRunner, enlisted);
    return enlisted;
  }

  forget(queryRunner: QueryRunner): void {
    this.#enlisted.delete(queryRunner);
  }

  #run<T>(work: (unit: UnitOfWork) => Promise<T>, last: UnitOfWorkOptions['last']): Promise<T> {
    const host = this.#requireHost();
    const options = this.#isolation === undefined ? {} : { isolationLevel: this.#isolation };
    return host.withTransaction(Propagation.RequiresNew, options, async () => {
      const manager = host.tx;
      const enlisted = this.ofManager(manager, 'run a unit of work');
      if (last !== undefined) enlisted.lastStatement(last);
      return work({ enlisted, transaction: await enlisted.transaction(), manager });
    });
  }

  /** The application's pool need not have a limit for opening a connection. */
  async #connected(queryRunner: QueryRunner): Promise<void> {
    try {
      await this.store.transactions.control(undefined, 'begin', () => queryRunner.connect());
    } catch (error) {
      // A connection that comes later is returned to the pool.
      queryRunner
        .connect()
        .then(() => queryRunner.release())
        .catch(() => undefined);
      throw error;
    }
  }

  async #requireSameDatabase(queryRunner: QueryRunner): Promise<void> {
    const { name, store } = this;
    // A store that cannot use the connections of this DataSource throws here as well.
    const transaction = await this.of(queryRunner).transaction();
    if (!(await isSameDatabase(store, transaction)))
      throw new StoreElsewhereError(name, store.name);
  }

  #enlist(): void {
    const { dataSource } = this;
    const subscriber = new TransactionSubscriber(this, hasRecorded);
    dataSource.subscribers.push(subscriber);
    this.#undo.push(() => {
      const at = dataSource.subscribers.indexOf(subscriber);
      if (at !== -1) dataSource.subscribers.splice(at, 1);
    });
    const { name } = this;
    const joins = this.#parts.ambient === 'join';
    this.#undo.push(
      takeOverQueryRunners({
        name,
        dataSource,
        joins,
        control: (client, statement, send, unanswered) =>
          this.store.transactions.control(client, statement, send, unanswered),
      }),
      interceptManagers(dataSource, {
        transaction: transactionOf(dataSource, joins),
        ...entityPersistence(dataSource, joins, this),
      }),
      coverWriteBuilders(dataSource, { joins, transactions: this }),
    );
    const host = this.#parts.host();
    if (host !== undefined) {
      this.#undo.push(noticeEnds(host, dataSource, isAdapted(dataSource)));
    }
  }

  #ambient(action: string): QueryRunner | undefined {
    const queryRunner = ambientQueryRunner(this.dataSource, action);
    if (queryRunner !== undefined || isAdapted(this.dataSource)) return queryRunner;
    // A host of another adapter is allowed if repositories do not join.
    const host = this.#parts.host();
    if (host?.isTransactionActive() !== true) return undefined;
    const manager = host.tx;
    // All applications of the process share the context, so the ambient transaction of another
    // application on a connection of the same name can be found here and does not count.
    return dataSourceOf(manager) === this.dataSource ? manager.queryRunner : undefined;
  }

  #requireHost(): TypeOrmTransactionHost {
    const host = this.#parts.host();
    if (host === undefined) {
      throw new TransactionHostError(
        this.name,
        `The connection "${this.name}" has no TransactionHost, so repositories cannot join a transaction.`,
      );
    }
    if (this.#parts.ambient === 'join' && !isAdapted(this.dataSource)) {
      throw new TransactionHostError(
        this.name,
        `The transactions of the connection "${this.name}" are opened by another adapter than SagazTypeOrmAdapter; repositories that join them would leak connections.`,
      );
    }
    return host;
  }
}
