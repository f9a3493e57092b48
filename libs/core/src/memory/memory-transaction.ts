import {
  CommitUnknownError,
  ForeignTransactionError,
  TransactionAbortedError,
} from '../errors/index.js';
import {
  TRANSACTION,
  type Clock,
  type Transaction,
  type TransactionControl,
  type Transactions,
} from '../ports/index.js';
import { MemoryLocks, type LockHolder, type LockMode } from './memory-locks.js';

/**
 * An open transaction in memory. Its writes become visible together at the commit, its locks are held
 * until the end, and after a failed statement it can only be rolled back.
 */
export class MemoryTransaction implements Transaction, LockHolder {
  readonly [TRANSACTION]: string;
  readonly locks = new Map<string, LockMode>();
  readonly #table: MemoryLocks;
  readonly #staged: (() => void)[] = [];
  readonly #afterCommit: (() => void)[] = [];
  #state: 'open' | 'aborted' | 'committed' | 'rolled_back' = 'open';
  #failure: unknown;

  constructor(store: string, locks: MemoryLocks) {
    this[TRANSACTION] = store;
    this.#table = locks;
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Adds a write; writes become visible at the commit, in the order in which they were added. */
  stage(apply: () => void): void {
    this.#staged.push(apply);
  }

  /** Has `run` called when the commit is visible and the locks are free; never after a rollback. */
  afterCommit(run: () => void): void {
    this.#afterCommit.push(run);
  }

  tryLock(name: string, mode?: LockMode): boolean {
    return this.#table.tryLock(name, this, mode);
  }

  /**
   * Waits for a lock at most `waitMs`, then throws `LockTimeoutError`; undefined means without a
   * limit.
   */
  lock(
    name: string,
    options?: { readonly mode?: LockMode; readonly waitMs?: number },
  ): Promise<void> {
    return this.#table.lock(name, this, options);
  }

  /** Runs one statement. If it fails, the transaction can only be rolled back. */
  async statement<T>(work: () => T | Promise<T>): Promise<T> {
    this.assertUsable();
    try {
      return await work();
    } catch (error) {
      this.#state = 'aborted';
      this.#failure = error;
      throw error;
    }
  }

  assertUsable(): void {
    if (this.#state === 'aborted') throw new TransactionAbortedError({ cause: this.#failure });
    if (this.#state !== 'open') {
      throw new ForeignTransactionError(this[TRANSACTION], 'a transaction that has ended');
    }
  }

  /** Makes all writes visible at once; rolls back and throws if a statement had failed. */
  commit(): void {
    if (this.#state === 'aborted') {
      this.rollback();
      throw new TransactionAbortedError({ cause: this.#failure });
    }
    this.assertUsable();
    this.#state = 'committed';
    for (const apply of this.#staged) apply();
    this.#table.releaseAll(this);
    for (const run of this.#afterCommit) run();
  }

  rollback(): void {
    if (this.#state === 'committed' || this.#state === 'rolled_back') return;
    this.#state = 'rolled_back';
    this.#table.releaseAll(this);
  }
}

/** Opens transactions of the memory store. */
export class MemoryTransactions implements Transactions {
  readonly #store: string;
  readonly #locks: MemoryLocks;
  #loseNext: 'committed' | 'rolled_back' | null = null;

  constructor(clock: Clock, store = 'memory') {
    this.#store = store;
    this.#locks = new MemoryLocks(clock);
  }

  /** Opens a transaction that the caller ends, for tests that leave one open on purpose. */
  begin(): MemoryTransaction {
    return new MemoryTransaction(this.#store, this.#locks);
  }

  async run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.within(undefined, work);
  }

  /**
   * Runs a statement in the given transaction, or in one of its own. Every part of the memory store
   * writes through it.
   */
  async within<T>(
    given: Transaction | undefined,
    work: (transaction: MemoryTransaction) => T | Promise<T>,
  ): Promise<T> {
    if (given !== undefined) {
      const transaction = this.own(given);
      return transaction.statement(() => work(transaction));
    }
    const transaction = this.begin();
    let result: T;
    try {
      result = await work(transaction);
    } catch (error) {
      transaction.rollback();
      throw error;
    }
    const lost = this.#loseNext;
    this.#loseNext = null;
    if (lost === 'rolled_back') transaction.rollback();
    else transaction.commit();
    if (lost !== null) throw new CommitUnknownError();
    return result;
  }

  /**
   * The next commit of a transaction that `run` opens is carried out or rolled back, as given, and its
   * answer is lost.
   */
  loseNextCommitAnswer(fate: 'committed' | 'rolled_back'): void {
    this.#loseNext = fate;
  }

  /** Returns the transaction if it is one of this store, otherwise throws `ForeignTransactionError`. */
  own(transaction: Transaction): MemoryTransaction {
    if (transaction instanceof MemoryTransaction && transaction[TRANSACTION] === this.#store) {
      transaction.assertUsable();
      return transaction;
    }
    throw new ForeignTransactionError(this.#store, 'something else');
  }

  open(transaction: Transaction): Promise<void> {
    this.own(transaction);
    return Promise.resolve();
  }

  /** Statements in memory always answer, so no time limit is needed. */
  control<T>(_client: unknown, _statement: TransactionControl, send: () => Promise<T>): Promise<T> {
    return send();
  }

  abandon(transaction: Transaction): void {
    if (transaction instanceof MemoryTransaction) transaction.rollback();
  }

  /** All errors come from this store, because there is no other database. */
  reported(_error: unknown): boolean {
    return true;
  }

  enlist(client: unknown): Transaction {
    if (client instanceof MemoryTransaction) return this.own(client);
    throw new ForeignTransactionError(this.#store, `a ${typeof client}`);
  }
}
