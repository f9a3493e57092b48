import type { Message } from './message.js';
import type { Transaction } from './transaction.js';

/** What waits in the landing queue of a group. Dead letters do not count. */
export interface LandingBacklog {
  readonly group: string;
  /** The number of messages; counted up to 100,000 of each status. */
  readonly waiting: number;
  /** Milliseconds since the first of them landed; 0 if none waits. */
  readonly oldestMs: number;
}

/** Why messages that wait in a landing queue are given up. */
export interface Retirement {
  readonly reason: string;
  readonly error: string;
}

/** The landing queues of a store as a whole, for metrics and for operators. */
export interface LandingGroups {
  /** What waits in each landing queue, empty ones included. Its cost is bounded as that of `stats`. */
  landingBacklog(): Promise<readonly LandingBacklog[]>;
  /**
   * Landing queues with a message that could be worked on now, and without a living process of their group; at
   * most 100. It is called regularly, and looks only at queues without a process.
   */
  unservedLandings(): Promise<readonly LandingBacklog[]>;
  /**
   * Gives a group another name, in one transaction: what its inbox knows of messages, and its landing queue
   * with its dead letters. Returns how many messages of the inbox were renamed. What processes of the group
   * that begin meanwhile do under the old name is not renamed, so that none may be started before it has ended.
   *
   * Rejects with `GroupInUseError` while a process of either group lives, with `UnknownGroupError` if there is
   * no group of the old name, and with `GroupExistsError` if one of the new name has handled or landed messages.
   */
  renameGroup(from: string, to: string): Promise<number>;
  /**
   * Makes dead letters of messages that wait in the landing queue of a group, at most `limit`, in the given
   * transaction; they hold back nothing. Returns these messages as they came; none: nothing waits any more.
   *
   * Rejects with `GroupInUseError` while a process of the group lives, and with `UnknownGroupError`.
   */
  retireLanded(
    group: string,
    retirement: Retirement,
    limit: number,
    transaction: Transaction,
  ): Promise<readonly Message[]>;
}
