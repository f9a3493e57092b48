import type { OutboxMessage } from './message.js';
import type { SlotQueueStore } from './slot-queue.js';
import type { Transaction } from './transaction.js';

/** Which dead letters to list or replay: those that match every field given. */
export interface DeadLetterFilter {
  readonly topic?: string;
  readonly type?: string;
  readonly key?: string;
  readonly group?: string;
  /** Exclusive cursor: the `cursor` of the last one seen. */
  readonly after?: string;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/**
 * The result for a dead letter that a person wanted replayed or discarded:
 * - `done`: it was replayed, or discarded.
 * - `busy`: it is being replayed at this moment, and was therefore not discarded.
 * - `ended`: its message has been handled, or its letter was discarded before; there is nothing left to do.
 * - `unknown`: there is no such dead letter. An outbox remembers nothing of messages that have left it, so a
 *   letter that was replayed or discarded before is unknown to it as well.
 */
export type DeadLetterOutcome = 'done' | 'busy' | 'ended' | 'unknown';

/** Where messages wait until a broker has them. */
export interface OutboxStore extends SlotQueueStore {
  /**
   * Writes messages, in the order given, as the last thing of a transaction that can wait: takes the
   * locks of their keys, once and ascending, and only then draws their numbers, so that whoever sees
   * a later message of a key sees every earlier one. Without a transaction: in one of its own.
   */
  append(messages: readonly OutboxMessage[], transaction?: Transaction): Promise<void>;

  listDeadLetters(filter: DeadLetterFilter): Promise<readonly OutboxDeadLetter[]>;
  /**
   * Puts dead letters back at their place in their key, with no attempts counted, raises the version
   * of their slots and wakes the relay. Returns an outcome for each id, in the order given. It leaves `held` followers
   * alone: the owner reads its held keys again when it sees the version, and releases them.
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
