import type { Logger, OutboxMessage, OutboxStore, Transaction } from '@sagaz/core';
import { detached } from './detached.js';
import {
  RawTransactionControlError,
  TransactionEndedError,
  UnsavedEntityMessagesError,
} from './errors.js';
import {
  isRecorded,
  restoreRecorded,
  takeRecorded,
  type RecordedMessage,
} from './recorded-messages.js';
import type { TransactionEnds } from './transaction-ends.js';

/** The facts and calls that an enlisted transaction needs from the transaction of the application. */
export interface TransactionBinding {
  readonly connection: string;
  /** The name of the service, which is the source of messages that entities recorded. */
  readonly source: string;
  readonly outbox: OutboxStore;
  readonly logger: Logger;
  /** 1: the outermost; more: a savepoint. */
  depth(): number;
  /**
   * Opens the store's view of the transaction, and counts the COMMIT and ROLLBACK statements on its
   * connection.
   */
  open(): Promise<{ readonly transaction: Transaction; readonly ends: TransactionEnds }>;
  /** Called after a commit that wrote messages. */
  written(messages: readonly OutboxMessage[]): void;
  /** Called when a transaction was committed without `count` messages that had been buffered in it. */
  lost(count: number): void;
}

interface Said {
  readonly ordinal: number;
  readonly message: OutboxMessage | RecordedMessage;
  /**
   * The entity that recorded the message and gets it back if the transaction rolls back; null: it was
   * published.
   */
  readonly entity: object | null;
  depth: number;
}

interface Awaited {
  readonly entity: object;
  depth: number;
}

interface Hook {
  readonly run: () => void | Promise<void>;
  depth: number;
}

/**
 * The data that Sagaz keeps for one open transaction: the messages to be written just before its
 * commit, its last statement, and the work that follows its commit. It belongs to that transaction
 * alone and is not used again once that has ended, however it ended.
 */
export class EnlistedTransaction {
  readonly #binding: TransactionBinding;
  readonly #opened: ReturnType<TransactionBinding['open']>;
  readonly #writes = new Set<Promise<unknown>>();
  readonly #awaited = new Map<RecordedMessage, Awaited>();
  #said: Said[] = [];
  #hooks: Hook[] = [];
  #last: ((transaction: Transaction) => Promise<void>) | null = null;
  /**
   * The count of COMMIT and ROLLBACK statements that is expected: the count at the beginning, and those
   * of TypeORM's own savepoints.
   */
  #expectedEnds = Number.NaN;
  #written: OutboxMessage[] = [];
  /** `sealed`: its messages were given to the store; `closing`: COMMIT is about to be sent. */
  #phase: 'open' | 'sealed' | 'closing' | 'ended' = 'open';

  constructor(binding: TransactionBinding) {
    this.#binding = binding;
    this.#opened = binding.open();
    this.#opened.then(
      ({ ends }) => (this.#expectedEnds = ends.count),
      () => undefined, // The next use of the transaction gets the rejection.
    );
  }

  get connection(): string {
    return this.#binding.connection;
  }

  get ended(): boolean {
    return this.#phase === 'closing' || this.#phase === 'ended';
  }

  /** Returns the store's view of the transaction. @throws TransactionEndedError */
  async transaction(): Promise<Transaction> {
    if (this.ended) throw new TransactionEndedError('work in a transaction');
    return (await this.#opened).transaction;
  }

  /**
   * Buffers a message. After the flush (in the hook of another subscriber) the message is written at
   * once.
   */
  async publish(ordinal: number, message: OutboxMessage): Promise<void> {
    const depth = this.#binding.depth();
    await this.#usable(`publish ${message.type}`);
    if (this.#phase === 'sealed') {
      await this.write(`publish ${message.type}`, (transaction) =>
        this.#append(message, transaction),
      );
      return;
    }
    this.#said.push({ ordinal, message, entity: null, depth });
  }

  /** An entity recorded a message while this transaction was the ambient one. */
  await(entity: object, message: RecordedMessage): void {
    this.#awaited.set(message, { entity, depth: this.#binding.depth() });
  }

  /** An entity was persisted, so its messages belong to this transaction now. */
  take(entity: object): void {
    const depth = this.#binding.depth();
    for (const message of takeRecorded(entity)) {
      this.#said.push({ ordinal: message.ordinal, message, entity, depth });
    }
  }

  /**
   * Writes in the transaction at once. A write that its caller does not await is awaited before the
   * transaction ends.
   */
  async write<T>(action: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const writing = this.#usable(action).then(work);
    this.#writes.add(writing);
    try {
      return await writing;
    } finally {
      this.#writes.delete(writing);
    }
  }

  /**
   * Runs after the outermost commit, unless the savepoint in which it was registered is rolled back.
   */
  afterCommit(run: () => void | Promise<void>): void {
    this.#hooks.push({ run, depth: this.#binding.depth() });
  }

  /** The last statement before COMMIT; it may still refuse the commit by throwing. */
  lastStatement(run: (transaction: Transaction) => Promise<void>): void {
    this.#last = run;
  }

  /**
   * A savepoint was released: the messages and callbacks of it now belong to the surrounding savepoint
   * or transaction.
   */
  released(depth: number): void {
    for (const item of [...this.#said, ...this.#hooks, ...this.#awaited.values()]) {
      if (item.depth >= depth) item.depth = depth - 1;
    }
  }

  /** Before ROLLBACK TO SAVEPOINT. */
  async rollBackTo(depth: number): Promise<void> {
    await this.#settle();
    this.#expectedEnds += 1;
    this.#drop(depth);
  }

  /**
   * Before the outermost COMMIT: one statement for all messages, then the last statement. The store may
   * send the messages together with what follows them.
   */
  async flush(): Promise<void> {
    await this.#settle();
    // The flush counts as a write from its first moment. If another subscriber fails meanwhile,
    // ROLLBACK must wait for the flush, or its statement would commit in a transaction of its own.
    const flushing = this.#flush();
    this.#writes.add(flushing);
    try {
      await flushing;
    } finally {
      this.#writes.delete(flushing);
    }
  }

  /**
   * Called immediately before the outermost COMMIT is sent. A statement that is sent from now on would
   * follow it.
   */
  async closing(): Promise<void> {
    if (this.#phase === 'sealed') this.#phase = 'closing';
    await this.#settle();
  }

  /** After the outermost COMMIT. Never throws: the caller's transaction is committed. */
  committed(): void {
    const flushed = this.#phase === 'closing' || this.#phase === 'sealed';
    this.#phase = 'ended';
    if (!flushed && this.#said.length > 0) {
      this.#binding.logger.error(
        'A transaction was committed without the messages that were published in it: its before-commit hook was not called.',
        { connection: this.connection, messages: this.#said.length },
      );
      this.#binding.lost(this.#said.length);
    }
    if (this.#written.length > 0) this.#guarded(() => this.#binding.written(this.#written));
    for (const { run } of this.#hooks) this.#guarded(run);
  }

  /** Called before the outermost ROLLBACK, or when the transaction was found to have ended. */
  async abandon(): Promise<void> {
    // Statements under way must be answered before ROLLBACK is sent; after it they would commit on
    // their own.
    this.#phase = 'ended';
    await this.#settle();
    this.#drop(0);
  }

  /** The connection starts another transaction, and this one was never seen to end. */
  orphaned(): void {
    if (this.#phase === 'open' && this.#said.length > 0) this.#binding.lost(this.#said.length);
    this.#phase = 'ended';
    this.#drop(0);
  }

  async #flush(): Promise<void> {
    this.#refuseUnsaved();
    // This is checked also if there is nothing to write: an inbox row for instance may have been
    // written before, and raw SQL may have ended the transaction that it was written in.
    const transaction = await this.#usable('commit');
    const said = this.#said.sort((a, b) => a.ordinal - b.ordinal);
    const messages: OutboxMessage[] = [];
    for (const { message } of said) {
      messages.push('seal' in message ? await message.seal(this.#binding.source) : message);
    }
    this.#seal();
    if (messages.length > 0) {
      await this.#binding.outbox.appendAtCommit(messages, transaction);
      this.#written = this.#written.concat(messages);
    }
    await this.#last?.(transaction);
    // The entities are kept, because they get their messages back if the commit itself fails.
    this.#said = said.filter(({ entity }) => entity !== null);
  }

  /** Refuses messages from here on, since they would come too late for the flush. */
  #seal(): void {
    if (this.#phase === 'open') this.#phase = 'sealed';
  }

  async #append(message: OutboxMessage, transaction: Transaction): Promise<void> {
    await this.#binding.outbox.append([message], transaction);
    this.#written.push(message);
  }

  #refuseUnsaved(): void {
    const unsaved = [...this.#awaited].filter(([message, { entity }]) =>
      isRecorded(entity, message),
    );
    if (unsaved.length === 0) return;
    throw new UnsavedEntityMessagesError(
      unsaved.map(([message, { entity }]) => ({
        entity: entity.constructor.name,
        type: message.type,
      })),
    );
  }

  async #usable(action: string): Promise<Transaction> {
    this.#requireOpen(action);
    const { transaction, ends } = await this.#opened;
    this.#requireOpen(action);
    if (ends.count !== this.#expectedEnds) throw new RawTransactionControlError(this.connection);
    return transaction;
  }

  #requireOpen(action: string): void {
    if (this.ended) throw new TransactionEndedError(action);
  }

  async #settle(): Promise<void> {
    while (this.#writes.size > 0) await Promise.allSettled(this.#writes);
  }

  #drop(depth: number): void {
    for (const { entity, message, depth: saidAt } of this.#said) {
      if (saidAt >= depth && entity !== null && 'seal' in message) restoreRecorded(entity, message);
    }
    this.#said = this.#said.filter((said) => said.depth < depth);
    this.#hooks = this.#hooks.filter((hook) => hook.depth < depth);
    for (const [message, awaited] of this.#awaited) {
      if (awaited.depth >= depth) this.#awaited.delete(message);
    }
  }

  #guarded(run: () => void | Promise<void>): void {
    const failed = (error: unknown): void => {
      this.#binding.logger.error(
        'Work that was to follow a commit failed; the commit itself is done.',
        { connection: this.connection },
        error,
      );
    };
    try {
      // Work that a commit starts does not belong to the request that made the commit.
      Promise.resolve(detached(run)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
