import type { Logger, Store, Transaction } from '@sagaz/core';
import type { EntityManager } from 'typeorm';
import type { Place, PlaceRequest, WorkKind } from './concurrency-limit.js';
import type { EnlistedTransaction } from './enlisted-transaction.js';

/** Receives what happens to messages on their way into an outbox; for metrics and tests. */
export interface EnlistObserver {
  /** Messages were committed to the outbox of a connection. */
  written?(connection: string, count: number): void;
  /** A transaction was committed without messages that had been published in it, which is a bug. */
  lost?(connection: string, count: number): void;
}

export interface ConnectionParts {
  readonly name: string;
  readonly store: Store;
  /** The name of the service, which is the source of its messages. */
  readonly source: string;
  readonly logger: Logger;
  readonly observer: EnlistObserver;
}

export interface UnitOfWork {
  /** Messages, after-commit work and the last statement of this unit. */
  readonly enlisted: EnlistedTransaction;
  /** The same transaction, for the store's own statements. */
  readonly transaction: Transaction;
  /** The TypeORM `EntityManager`; undefined where the connection has no DataSource. */
  readonly manager: EntityManager | undefined;
}

export interface UnitOfWorkOptions {
  /** The very last statement before COMMIT; throwing refuses the commit. */
  readonly last?: (transaction: Transaction) => Promise<void>;
  /**
   * Works in the ambient transaction of this connection if one is open. Such a unit does not count
   * against the limit, since the application decides how many transactions it opens.
   */
  readonly join?: boolean;
  /** When it is aborted, a unit that still waits for its connection does not begin any more. */
  readonly unwanted?: AbortSignal;
  /** The kind of work that asks, so that neither kind keeps the other waiting. Default: handlers. */
  readonly kind?: WorkKind;
  /** A place that {@link Connection.reserve} gave. */
  readonly place?: Pick<Place, 'release'>;
}

/** A store, and the transactions of the application that messages can join. */
export interface Connection {
  readonly name: string;
  readonly store: Store;
  /** How many units of work may run at once: below the size of the pool they run on. */
  readonly concurrency: number;
  /**
   * Returns the ambient transaction, if one is open here.
   *
   * @param action what the caller is about to do, for error messages: `publish order.confirmed`
   * @throws TransactionEndedError when it has ended, because the code that runs in it was not awaited
   */
  current(action: string): EnlistedTransaction | undefined;
  /**
   * Runs `work` in a new transaction, whatever is ambient unless told to join it, and commits.
   * Everything that asks for the ambient transaction inside `work` gets this one; repositories join.
   * Rejects with `TransactionAbortedError` if the commit rolled back, and with `CommitUnknownError` if
   * its outcome is unknown.
   */
  run<T>(work: (unit: UnitOfWork) => Promise<T>, options?: UnitOfWorkOptions): Promise<T>;
  /** Waits until one more unit of work may begin, and keeps its place free until it is released. */
  reserve(request: PlaceRequest): Promise<Place>;
  /** @throws TransactionHostError when repositories could not join a unit of work */
  assertJoinable(): void;
  /** Makes the checks that need the started application, and throws an error if one fails. */
  check(): Promise<void>;
  dispose(): void;
}
