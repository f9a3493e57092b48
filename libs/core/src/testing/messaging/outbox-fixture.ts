import type { OutboxStore, Transactions } from '../../ports/index.js';
import type { RowLocks, SlotQueueFixture } from './slot-queue-fixture.js';

/** An outbox that is empty and whose slots nobody owns. */
export interface OutboxStoreFixture extends RowLocks {
  readonly outbox: OutboxStore;
  /** The outbox as another process has it. */
  readonly newOutbox: () => Promise<OutboxStore>;
  readonly transactions: Transactions;
  /** Lets so many milliseconds of the store's clock pass. */
  readonly pass: (ms: number) => Promise<void>;
  /** The mail that lies there for a saga. */
  readonly mailOf: (
    sagaId: string,
  ) => Promise<readonly { readonly dedupeKey: string; readonly data: string }[]>;
}

/** The outbox as the queue it is. */
export function queueOf(fixture: OutboxStoreFixture): SlotQueueFixture {
  return {
    queue: fixture.outbox,
    newQueue: () => fixture.newOutbox(),
    add: (messages, transaction) => fixture.outbox.append(messages, transaction),
    transactions: fixture.transactions,
    pass: (ms) => fixture.pass(ms),
    lockRow: (place, transaction) => fixture.lockRow(place, transaction),
    lockLease: (slot, transaction) => fixture.lockLease(slot, transaction),
  };
}
