import type { Logger, Store, Transaction } from '@sagaz/core';
import type { EntityManager } from 'typeorm';
import type { EnlistedTransaction } from './enlisted-transaction.js';

/** What happened to messages on their way into an outbox; for metrics and tests. */
export interface EnlistObserver {
  /** Messages were committed to the outbox of a connection. */
  written?(connection: string, count: number): void;
  /** A transaction was committed without messages that had been published in it. A bug somewhere. */
  lost?(connection: string, count: number): void;
}

export interface ConnectionParts {
  readonly name: string;
  readonly store: Store;
  /** The service. */
  readonly source: string;
  readonly logger: Logger;
  readonly observer: EnlistObserver;
}

export interface UnitOfWork {
  /** Messages, after-commit work and the last statement of this unit. */
  readonly enlisted: EnlistedTransaction;
  /** For the store's own statements in it. */
  readonly transaction: Transaction;
  /** The TypeORM `EntityManager`; undefined where the connection has no DataSource. */
  readonly manager: EntityManager | undefined;
}

export interface UnitOfWorkOptions {
  /** The very last statement before COMMIT; throwing refuses the commit. */
  readonly last?: (transaction: Transaction) => Promise<void>;
  /**
   * Works in the ambient transaction of this connection where one is open. Not counted against the
   * limit: it is the application's own business how many of these it opens.
   */
  readonly join?: boolean;
  /** Aborted: the unit is not begun any more, should it still wait for its connection. */
  readonly unwanted?: AbortSignal;
}

/** A store, and the transactions of the application that messages can join. */
export interface Connection {
  readonly name: string;
  readonly store: Store;
  /** How many units of work may run at once: below the size of the pool they run on. */
  readonly concurrency: number;
  /**
   * The ambient transaction, if one is open here.
   *
   * @param action what it is asked for, as errors say it: `publish order.confirmed`
   * @throws TransactionEndedError where it has ended, and the code was not awaited
   */
  current(action: string): EnlistedTransaction | undefined;
  /**
   * Runs `work` in a new transaction, whatever is ambient unless told to join it, and commits. Everything that asks for the
   * ambient transaction inside `work` gets this one; repositories join. Rejects with
   * `TransactionAbortedError` or `CommitUnknownError` as the commit was.
   */
  run<T>(work: (unit: UnitOfWork) => Promise<T>, options?: UnitOfWorkOptions): Promise<T>;
  /** @throws TransactionHostError when repositories could not join a unit of work */
  assertJoinable(): void;
  /** Checks what can only be checked when everything is there. Throws what is wrong. */
  check(): Promise<void>;
  dispose(): void;
}
