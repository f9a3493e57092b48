import type { Message } from './message.js';
import type { NewMail } from './saga-mail.js';
import type {
  DueFloor,
  DueRequest,
  PassedTopics,
  PassingOver,
  ReadRequest,
  ReadResult,
  WithoutTopics,
} from './slot-reads.js';

/**
 * The status of a message in a slot queue.
 *
 * - `delayed`: its delay is not over; it has no place in its key yet.
 * - `pending`: may be read.
 * - `optimistic`: its producer is publishing it right after the commit; it is due when that time is
 *   over.
 * - `retrying`: an attempt failed; it keeps its place, is due later, and holds back its key.
 * - `held`: follows a message that holds back its key.
 * - `dead_letter`: not tried any more; it keeps its place until it is replayed or discarded.
 */
export const QUEUED_STATUSES = [
  'delayed',
  'pending',
  'optimistic',
  'retrying',
  'held',
  'dead_letter',
] as const;
export type QueuedStatus = (typeof QUEUED_STATUSES)[number];

/** The right of one incarnation to work on one slot. */
export interface SlotLease {
  readonly slot: number;
  /** Rises with every take-over. */
  readonly epoch: number;
  /**
   * Rises when an operator changed rows of the slot; then floors go back to 0, and held keys are read
   * again.
   */
  readonly version: number;
  /**
   * How many owners in a row died with this slot without progress. A lease that lapses counts until
   * its owner takes that back. From 2 on, the owner works on one message at a time and notes its
   * number first, so that a message that kills processes is found.
   */
  readonly crashes: number;
  /** The number noted by {@link SlotQueueStore.noteSuspect}, if any. */
  readonly suspect: string | null;
}

/**
 * A message with its place. Numbers are decimal strings of a 64-bit sequence; compare them with
 * `compareSeq`.
 */
export interface QueuedMessage {
  readonly slot: number;
  readonly seq: string;
  /** The number of failed attempts so far. */
  readonly attempts: number;
  /** False: other messages of its key may overtake it. */
  readonly ordered: boolean;
  /** Milliseconds since it was written, by the database's clock. */
  readonly ageMs: number;
  /**
   * Milliseconds until it may be worked on, by the database's clock, where it was written with a time and has
   * not been worked on since: it has its place in its key already. Absent on all others.
   */
  readonly dueInMs?: number;
  readonly message: Message;
}

export interface Place {
  readonly slot: number;
  readonly seq: string;
}

export interface KeyName {
  readonly slot: number;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
}

/** A row that holds back its key. A key with several such rows is named once for each. */
export interface HeldKey extends KeyName {
  /**
   * The number of the row that holds the key back (retrying, blocking or optimistic); rows with a
   * lower number may go on. Null: no row holds it back any more, and only `held` rows are left,
   * because their owner died or an operator removed the head; they must be released.
   */
  readonly head: string | null;
}

/**
 * A point from which a floor can be raised: `last` was the newest number drawn when `xid` was not yet
 * assigned. Once a read's snapshot has `xmin > xid`, every writer that may have drawn a number up to
 * `last` has ended, so a row up to `last` that this read does not find will never appear.
 */
export interface FloorProbe {
  readonly last: string;
  readonly xid: string;
}

/** A change of a row other than its completion. The lease fences it. */
export type SlotChange =
  /** An attempt failed: the row is due again after `delayMs`; the attempt is counted if `counts`. */
  | {
      readonly kind: 'retry';
      readonly place: Place;
      readonly delayMs: number;
      readonly counts: boolean;
      /** Null: the error that the row has stays. */
      readonly error: string | null;
      /**
       * Leave the row alone, with the outcome `gone`, where another row of its key comes before it: then
       * it was not in work, and as a retry it would overtake that row.
       */
      readonly onlyFirst?: true;
    }
  /** The row follows a head of its key and is held. */
  | { readonly kind: 'hold'; readonly place: Place }
  /**
   * The row becomes a dead letter; the attempt is counted if `counts`. With `block` it goes on holding
   * back its key. `mail` is put in the same transaction, because the saga that waits for the answer to
   * a dead command would otherwise wait for ever.
   */
  | {
      readonly kind: 'dead_letter';
      readonly place: Place;
      readonly counts: boolean;
      readonly error: string;
      readonly reason: string;
      readonly block: boolean;
      readonly mail?: NewMail;
    }
  /** No row holds back the key any more: its held rows become pending again, with their numbers. */
  | { readonly kind: 'release'; readonly key: KeyName };

/**
 * The outcome of a change:
 * - `changed`: it was made.
 * - `lost_lease`: another owner has the slot, so nothing was changed.
 * - `gone`: no row is in a state in which the change could be made.
 * - `busy`: another transaction has locked the row, a held row of the key, or the lease row. Nothing was
 *   changed, and the change must be tried again.
 */
export type SlotChangeOutcome = 'changed' | 'lost_lease' | 'gone' | 'busy';

/** The slots of a member after a renewal. */
export interface RenewedLeases {
  /** The number of living incarnations. */
  readonly members: number;
  /** The leases that were renewed. */
  readonly leases: readonly SlotLease[];
  /**
   * Slots that still belong to the incarnation and whose leases were not renewed, because another
   * transaction has locked their rows. They expire when they would have expired before.
   */
  readonly busy: readonly number[];
}

/**
 * A queue cut into slots: the outbox, and each consumer group of the Postgres broker. Only the owner
 * of a slot's lease reads its rows. Every read starts at the slot's floor and leaves out rows in
 * flight; a cursor would lose rows that are committed late.
 *
 * No method waits for a row that another transaction has locked for long: it leaves the row out and
 * says so. Otherwise one locked row would hold up all others of the statement.
 */
export interface SlotQueueStore {
  /** The number of slots, a constant of the schema. */
  readonly slots: number;

  /** Makes an incarnation known, so that slots are shared fairly among the living ones. */
  join(incarnation: string, ttlMs: number): Promise<void>;
  /**
   * Renews the membership and all leases of an incarnation. A lease is lost if it is neither among those
   * that were renewed nor among the busy ones.
   */
  renew(incarnation: string, ttlMs: number): Promise<RenewedLeases>;
  /** Takes up to `limit` slots that have no living owner, and raises their epochs. */
  acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]>;
  /**
   * Gives slots back in good order: no crash is counted. A slot whose lease row is locked stays with the
   * incarnation.
   */
  release(incarnation: string, slots: readonly number[]): Promise<void>;
  /** Gives all slots back, as {@link SlotQueueStore.release} does, and ends the membership. */
  leave(incarnation: string): Promise<void>;
  /**
   * Notes the number of the message of a suspicious slot that is about to be worked on. Null: the slot
   * has made progress, is not suspicious any more, and `crashes` is 0 again. Returns whether it was
   * noted: not if the lease is lost or another transaction has locked its row.
   */
  noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<boolean>;
  /**
   * Tells the store that the owner of lapsed leases lives, with the crashes that it knew of. A process
   * that took such a slot over counted a crash that was none: if the slot still has the epoch after
   * the lapsed one, its `crashes` go back to those of the lapsed lease, and with the last of them its
   * `suspect` is removed. If the slot has changed its owner again, or the crashes were cleared,
   * nothing changes. A repeated call changes nothing more. Returns the leases about which nothing is left
   * to be told: not those whose rows are locked.
   */
  retractCrashes(lapsed: readonly SlotLease[]): Promise<readonly SlotLease[]>;

  probeFloor(): Promise<FloorProbe>;
  read(request: ReadRequest): Promise<ReadResult>;
  /**
   * Says for each slot how far the next pending rows above the floor belong to the topics, in flight or
   * not: a reader that leaves the topics out may begin its reads there, once the snapshot proves that no
   * lower number can appear. It looks at no more than `within` rows of each slot. Slots without rows are
   * not named.
   */
  passTopics(
    request: Pick<ReadRequest, 'windows'> & Omit<PassingOver, 'keys'>,
  ): Promise<PassedTopics>;
  /**
   * Keys of the leased slots that are held back, once for each row that does so, and keys that only
   * have `held` rows left (`head` null). Unordered rows hold nothing back and are not named.
   */
  heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]>;
  /**
   * Rows of the leased slots that are retrying and due, ascending; of the ordered ones at most the
   * first of each key. Those of each slot that have been due for longest, bounded by rows and bytes, and
   * without what is being worked on, as in {@link ReadRequest}.
   */
  readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    request: DueRequest,
  ): Promise<readonly QueuedMessage[]>;
  /**
   * The floors from which looks for due retries may begin while the topics are left out: for each slot the
   * last row of those looked at, if all of them belong to the topics. Only rows count that have been due
   * for so long that no change under way can still make a row due before them.
   */
  passDueTopics(slots: readonly number[], without: WithoutTopics): Promise<readonly DueFloor[]>;
  /**
   * Gives delayed messages that are due their number, under the lock of their key, and makes
   * optimistic messages whose time is over pending. Returns how many. The latter raises the slot's
   * version, because the owner's floor may be above the number; so does every other change that makes
   * a row with an old number pending, except the owner's own `release`.
   */
  promote(limit: number): Promise<number>;
  /**
   * Milliseconds until the next delayed, retrying or optimistic row of the slots is due; null if there
   * is none. Of retries, only those that {@link SlotQueueStore.readDueRetries} looks at.
   */
  nextDueInMs(slots: readonly number[], without?: WithoutTopics): Promise<number | null>;

  /**
   * Removes (or archives) rows that were acknowledged. No lease is needed, because an acknowledged
   * message is done whoever reports it. Rows that do not exist any more are no error. Returns the rows
   * that are still there, because another transaction has locked them; they must be removed later.
   */
  complete(places: readonly Place[]): Promise<readonly Place[]>;
  /**
   * Writes changes that the lease fences: the lease row is locked first and must have this incarnation
   * and epoch, so that a change of a former owner has no effect after a take-over. Changes are made
   * in the order given, and the outcomes have the same order. Those that are `busy` are left out. A
   * `release` is made for all held rows of its key or for none.
   */
  change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]>;

  /**
   * Whether messages wait here that no process takes. Null if a living process works on the queue, or
   * no message waits; otherwise for how many milliseconds the oldest message that could be worked on
   * now has waited. The cost does not depend on how many messages wait, because this is called
   * regularly.
   */
  unserved(): Promise<number | null>;

  /**
   * The number of rows for each status, 100,000 at most since counting has a cost, and the age
   * of the oldest pending one, for metrics and health checks.
   */
  stats(): Promise<{
    readonly byStatus: ReadonlyMap<QueuedStatus, number>;
    readonly oldestPendingMs: number | null;
  }>;
}
