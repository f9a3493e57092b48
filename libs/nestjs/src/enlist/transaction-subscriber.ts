import { CommitUnknownError, TransactionAbortedError } from '@sagaz/core';
import type { EntitySubscriberInterface, ObjectLiteral, QueryRunner } from 'typeorm';
import type { EnlistedTransaction } from './enlisted-transaction.js';
import { TwoPhaseCommitError } from './errors.js';
import { depthOf } from './typeorm-access.js';

/** The enlisted transactions of one DataSource, by the query runner that carries them. */
export interface EnlistedTransactions {
  /** The enlisted transaction of the running transaction; undefined: none was made yet. */
  find(queryRunner: QueryRunner): EnlistedTransaction | undefined;
  /** The enlisted transaction of the running transaction; it is made if there is none. */
  of(queryRunner: QueryRunner): EnlistedTransaction;
  forget(queryRunner: QueryRunner): void;
}

interface TransactionEvent {
  readonly queryRunner: QueryRunner;
}

interface EntityEvent extends TransactionEvent {
  readonly entity?: ObjectLiteral | undefined;
}

interface QueryEvent extends TransactionEvent {
  readonly query: string;
}

interface QueryAnswer extends TransactionEvent {
  readonly query: string;
  readonly success: boolean;
  readonly rawResults?: unknown;
  readonly error?: unknown;
}

/** The statement may begin with comments. */
const PREPARES = /^(?:\s|--.*\n|\/\*[\s\S]*?\*\/)*PREPARE\s+TRANSACTION\b/i;
const committed = new WeakSet<QueryRunner>();

/** Whether the last transaction of this runner is known to be committed. */
export function isCommitted(queryRunner: QueryRunner): boolean {
  return committed.has(queryRunner);
}

/**
 * Whether the server reported the error, so that it has rolled back. Classes 08 and 57 are about the
 * connection.
 */
function refusedByServer(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const code: unknown = Reflect.get(error, 'code');
  const severity: unknown = Reflect.get(error, 'severity');
  return severity === 'ERROR' && typeof code === 'string' && !/^(08|57)/.test(code);
}

/**
 * Follows the transactions of a DataSource, however they were opened. TypeORM calls these hooks for the
 * outermost transaction and for savepoints alike; the depth shows which.
 */
export class TransactionSubscriber implements EntitySubscriberInterface {
  readonly #transactions: EnlistedTransactions;
  readonly #hasRecorded: (entity: object) => boolean;

  constructor(transactions: EnlistedTransactions, hasRecorded: (entity: object) => boolean) {
    this.#transactions = transactions;
    this.#hasRecorded = hasRecorded;
  }

  afterTransactionStart({ queryRunner }: TransactionEvent): void {
    if (depthOf(queryRunner) !== 1) return;
    committed.delete(queryRunner);
    // A connection that is lost at COMMIT calls no hook, so an enlisted transaction that is still here
    // has ended. Its messages must never get into the new one.
    this.#transactions.find(queryRunner)?.orphaned();
    this.#transactions.forget(queryRunner);
  }

  async beforeTransactionCommit({ queryRunner }: TransactionEvent): Promise<void> {
    // A COMMIT that the application sent itself before does not count as the one that is about to be
    // sent.
    committed.delete(queryRunner);
    const transaction = this.#transactions.find(queryRunner);
    if (transaction === undefined) return;
    const depth = depthOf(queryRunner);
    if (depth > 1) transaction.released(depth);
    else await transaction.flush();
  }

  afterTransactionCommit({ queryRunner }: TransactionEvent): void {
    if (depthOf(queryRunner) > 0) return;
    const transaction = this.#transactions.find(queryRunner);
    this.#transactions.forget(queryRunner);
    // An error thrown here would reach the caller as a failed transaction, and be repeated.
    transaction?.committed();
  }

  async beforeTransactionRollback({ queryRunner }: TransactionEvent): Promise<void> {
    const transaction = this.#transactions.find(queryRunner);
    if (transaction === undefined) return;
    const depth = depthOf(queryRunner);
    if (depth > 1) await transaction.rollBackTo(depth);
    else {
      this.#transactions.forget(queryRunner);
      await transaction.abandon();
    }
  }

  /**
   * PREPARE TRANSACTION is refused before it is sent, because a prepared transaction keeps its locks.
   * One that was not sent by TypeORM is noticed afterwards by the tag of its answer.
   */
  beforeQuery({ query, queryRunner }: QueryEvent): Promise<void> | void {
    if (query === 'COMMIT' && depthOf(queryRunner) === 1) {
      return this.#transactions.find(queryRunner)?.closing();
    }
    if (!PREPARES.test(query)) return undefined;
    const transaction = this.#transactions.find(queryRunner);
    if (transaction === undefined) return undefined;
    return Promise.reject(new TwoPhaseCommitError(transaction.connection));
  }

  /**
   * PostgreSQL answers the COMMIT of a failed transaction with the tag ROLLBACK, which TypeORM takes
   * for success.
   */
  afterQuery({
    query,
    queryRunner,
    success,
    rawResults,
    error,
  }: QueryAnswer): Promise<void> | void {
    if (query !== 'COMMIT') return undefined;
    if (!success) {
      return refusedByServer(error)
        ? undefined
        : Promise.reject(new CommitUnknownError({ cause: error }));
    }
    if (
      typeof rawResults === 'object' &&
      rawResults !== null &&
      Reflect.get(rawResults, 'command') === 'ROLLBACK'
    ) {
      return Promise.reject(new TransactionAbortedError());
    }
    committed.add(queryRunner);
    return undefined;
  }

  afterInsert(event: EntityEvent): void {
    this.#persisted(event);
  }

  afterUpdate(event: EntityEvent): void {
    this.#persisted(event);
  }

  afterRemove(event: EntityEvent): void {
    this.#persisted(event);
  }

  afterSoftRemove(event: EntityEvent): void {
    this.#persisted(event);
  }

  afterRecover(event: EntityEvent): void {
    this.#persisted(event);
  }

  #persisted({ entity, queryRunner }: EntityEvent): void {
    // Outside of a transaction the messages would never be written, so they stay on the entity.
    if (entity !== undefined && queryRunner.isTransactionActive && this.#hasRecorded(entity)) {
      this.#transactions.of(queryRunner).take(entity);
    }
  }
}
