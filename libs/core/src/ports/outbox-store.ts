import type { OutboxMessage } from './message.js';
import type { SlotQueueStore } from './slot-queue.js';
import type { Transaction } from './transaction.js';

/** The filter of dead letters: those that match every given field. */
export interface DeadLetterFilter {
  readonly topic?: string;
  readonly type?: string;
  readonly key?: string;
  readonly group?: string;
  /** Lists the dead letters after this one: the `cursor` of the last one seen. */
  readonly after?: string;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/**
 * The outcome for a dead letter that a person wanted to replay or discard:
 * - `done`: it was replayed, or discarded.
 * - `busy`: it is being replayed at this moment, and was therefore not discarded; or another transaction
 *   has locked it, and nothing was done.
 * - `ended`: its message has been handled, or it was discarded before; there is nothing left to do.
 * - `unknown`: there is no such dead letter. An outbox keeps no record of published messages, so a dead
 *   letter that was replayed or discarded before is unknown to it as well.
 */
export type DeadLetterOutcome = 'done' | 'busy' | 'ended' | 'unknown';

/** Stores messages until a broker has acknowledged them. */
export interface OutboxStore extends SlotQueueStore {
  /**
   * Writes messages, in the order given, as the last thing of a transaction that can wait: takes the
   * locks of their keys, once and ascending, and only then draws their numbers, so that a reader which
   * sees a later message of a key sees every earlier one. Without a transaction: in one of its own.
   */
  append(messages: readonly OutboxMessage[], transaction?: Transaction): Promise<void>;
  /**
   * The same in a transaction that its caller commits next. The store may keep the messages and write them
   * together with COMMIT, or with another statement that is sent before it; then that statement fails
   * with the error of the messages, and nothing is committed. A rollback drops them.
   */
  appendAtCommit(messages: readonly OutboxMessage[], transaction: Transaction): Promise<void>;

  listDeadLetters(filter: DeadLetterFilter): Promise<readonly OutboxDeadLetter[]>;
  /**
   * Puts dead letters back at their place in their key, with no attempts counted, raises the version of
   * their slots and wakes the relay. Returns an outcome for each id, in the order given. It does not
   * change the `held` messages behind them: the owner of the slot reads its held keys again when it
   * sees the new version, and releases them.
   */
  replayDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]>;
  /**
   * Removes dead letters for good; raises the version of their slots, for followers of a blocking one.
   * Returns an outcome for each id, in the order given.
   */
  discardDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]>;
}

export interface OutboxDeadLetter {
  readonly cursor: string;
  readonly id: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
  readonly diedAt: Date;
  readonly contentType: string;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}
