import { systemClock } from '../clock/index.js';
import type { Clock, Store, StoreDriver, WakeUps } from '../ports/index.js';
import { MemoryEngineRegistry } from './memory-engine-registry.js';
import { MemoryInboxStore } from './memory-inbox-store.js';
import { MemoryOutboxStore } from './memory-outbox-store.js';
import { MemorySagaStore } from './memory-saga-store.js';
import { MemoryTransactions } from './memory-transaction.js';
import { MemoryWakeUps } from './memory-wake-ups.js';

export interface MemoryStoreOptions {
  /** Stands for the database's clock. Default: the host's clock. */
  readonly clock?: Clock;
  /** Sends hints between the parts of the process. Default: hints within the process. */
  readonly wakeUps?: WakeUps;
}

/**
 * A store in the memory of one process, with the locks and the visibility of a database, for tests and
 * for a first try. Its data is lost when the process ends.
 */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly transactions: MemoryTransactions;
  readonly sagas: MemorySagaStore;
  readonly engines: MemoryEngineRegistry;
  readonly outbox: MemoryOutboxStore;
  readonly inbox: MemoryInboxStore;
  readonly wakeUps: WakeUps;
  #closed = false;

  constructor(options: MemoryStoreOptions = {}) {
    const clock = options.clock ?? systemClock;
    this.transactions = new MemoryTransactions(clock);
    const { transactions } = this;
    this.wakeUps = options.wakeUps ?? new MemoryWakeUps();
    this.engines = new MemoryEngineRegistry(transactions, clock);
    this.outbox = new MemoryOutboxStore({
      transactions,
      clock,
      wakeUps: this.wakeUps,
      putMail: (mail, transaction) => this.sagas.putMail(mail, transaction),
    });
    this.inbox = new MemoryInboxStore(transactions, clock, this.wakeUps);
    this.sagas = new MemorySagaStore({
      transactions,
      clock,
      engines: this.engines,
      outbox: this.outbox,
    });
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  health(): Promise<void> {
    return this.#closed
      ? Promise.reject(new Error('The memory store is closed.'))
      : Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}

/** The memory store as a value of the configuration: `store: memoryStore()`. */
export function memoryStore(options: MemoryStoreOptions = {}): StoreDriver {
  return {
    kind: 'store',
    name: 'memory',
    create: (environment) =>
      Promise.resolve(new MemoryStore({ clock: environment.clock, ...options })),
  };
}
