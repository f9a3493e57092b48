import type { Clock, NewMail, Transaction } from '../ports/index.js';
import type { MemorySequence } from './memory-queue-rows.js';
import type { MemoryTransactions } from './memory-transaction.js';

export interface MemorySlotQueueParts {
  /** Tells its locks from those of other queues in the same store. Default `outbox`. */
  readonly queue?: string;
  /** The sequence of its rows' numbers. Default: one of its own. */
  readonly sequence?: MemorySequence;
  readonly transactions: MemoryTransactions;
  /** The store's clock, which decides about leases and due times. */
  readonly clock: Clock;
  /**
   * Writes mail in the transaction that makes a dead letter of a message. Without it such a change is
   * refused.
   */
  readonly putMail?: (mail: readonly NewMail[], transaction: Transaction) => Promise<void>;
}
