import type { InboxKey, InboxLine } from './inbox-store.js';
import type { LandingGroups } from './landing-groups.js';
import type { Message } from './message.js';
import type { SlotLease, SlotQueueStore } from './slot-queue.js';
import type { Transaction } from './transaction.js';

/** A message that a consumer puts into the landing queue instead of handling it now. */
export interface LandingMessage {
  readonly key: InboxKey;
  readonly message: Message;
  /** The key in whose order it is; undefined: none. It then holds nothing back. */
  readonly line: InboxLine | undefined;
  /** The number of attempts that have failed and count. */
  readonly attempts: number;
  /**
   * When it is tried again, and why. It is written as a message that may be read, with its time: whoever owns
   * the slot reads it before its followers, and so learns that it holds them back. Null: it waits only for
   * those before it in its key.
   */
  readonly retry: { readonly delayMs: number; readonly error: string } | null;
}

/** How much waits in a landing queue. Dead letters do not count, since nobody works on them. */
export interface LandedSize {
  readonly messages: number;
  /** The bytes of their payloads, and 500 for each message. */
  readonly bytes: number;
}

/** The most messages of a landing queue whose bytes are read to know its size. */
export const SIZED_MESSAGES = 10_000;

/** A row of the landing queue, and the right of a process to end it. */
export interface LandedRow {
  /** The inbox key under which it landed, with the group. */
  readonly key: InboxKey;
  /** The member of the queue that has the lease. */
  readonly incarnation: string;
  readonly lease: SlotLease;
  readonly seq: string;
}

/**
 * The landing queue of each consumer group: the messages that the group could not handle when the broker
 * delivered them, in order. A message has one row in the inbox, and that row decides: it goes from nothing
 * to `done`, `landed` or `dead`, from `landed` to `done` or `dead`, and from `dead` to `landed` by a replay.
 * The process that ends, lands or buries a message writes that row, and nothing else decides.
 *
 * A row of the queue holds its key while it is ordered and is no dead letter, or is one that blocks. Later
 * messages of the key land behind it.
 */
export interface LandingStore extends LandingGroups {
  /**
   * Puts messages into their landing queues, in the order given, in one short transaction of the store's
   * own. Ids of messages that were handled, landed or dead-lettered before are left out. All inbox rows are
   * written, in one order, before a number is drawn, so that two callers with the same messages neither
   * wait for each other in a circle nor let a floor pass a number. Waits for a transaction that handles one
   * of the messages, at most `waitMs`; then throws `InboxBusyError` and has written nothing.
   *
   * Returns how many were put there. If the answer is lost, the caller lands them again.
   */
  land(messages: readonly LandingMessage[], waitMs: number): Promise<number>;

  /**
   * The queue of a group, for the process that works on it. Its rows are handled by claims with `landed`,
   * and removed by {@link LandingStore.finishLanded} in the handler's transaction.
   */
  landingQueue(group: string): Promise<SlotQueueStore>;

  /**
   * How much waits in the landing queue of a group, counted up to `most` messages. Of more than
   * {@link SIZED_MESSAGES} the bytes are estimated from that many. Every process of the group asks every few
   * seconds, so its cost is bounded by the counting.
   */
  landedSize(group: string, most: number): Promise<LandedSize>;

  /**
   * Last statement of the transaction of a landed message: removes its row, and holds off a take-over of the
   * slot until the transaction has ended. Throws `LandedRowLostError` if the lease or the row is not the
   * caller's any more; the transaction must then be rolled back.
   */
  finishLanded(row: LandedRow, transaction: Transaction): Promise<void>;
}
