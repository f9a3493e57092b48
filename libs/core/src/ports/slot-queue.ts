import type { Message } from './message.js';
import type { NewMail } from './saga-store.js';

/**
 * The status of a message in a slot queue.
 * - `delayed`: its time has not come; it has no place in its key yet.
 * - `pending`: may be read.
 * - `optimistic`: its producer is publishing it right after the commit; due when the hold is over.
 * - `retrying`: failed, has kept its place, due later; it holds back its key.
 * - `held`: follows a message that holds back its key.
 * - `dead_letter`: given up; kept with its place until it is replayed or discarded.
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
  /** Rises when an operator changed rows of the slot: floors go back to 0, held keys are read again. */
  readonly version: number;
  /**
   * How many owners in a row died with this slot without progress: a lease that lapses counts until its
   * owner retracts that. From 2 on the owner works on one
   * message at a time and notes its number first, so that a message that kills processes is counted.
   */
  readonly crashes: number;
  /** The number noted by {@link SlotQueueStore.noteSuspect}, if any. */
  readonly suspect: string | null;
}

/** A message with its place. Numbers are decimal strings of a 64-bit sequence; compare with `compareSeq`. */
export interface QueuedMessage {
  readonly slot: number;
  readonly seq: string;
  /** Failed attempts so far. */
  readonly attempts: number;
  /** False: its neighbours of the key may overtake it. */
  readonly ordered: boolean;
  /** Milliseconds since it was written, by the database's clock. */
  readonly ageMs: number;
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
   * The number of the row that holds the key back (retrying, blocking or optimistic): what has a
   * lower number may pass. Null: nothing holds it back any more, only `held` rows are left, because
   * their owner died, or an operator took the head away; they must be released.
   */
  readonly head: string | null;
}

/**
 * A point from which a floor can be raised: `last` was the newest number drawn when `xid` was not
 * yet assigned. Once a read's snapshot has `xmin > xid`, every writer that may have drawn a number
 * up to `last` has ended, so what that read does not show up to `last` will never appear.
 */
export interface FloorProbe {
  readonly last: string;
  readonly xid: string;
}

export interface ReadRequest {
  /** Per slot the floor: nothing at or below it is looked at. `'0'`: from the start. */
  readonly windows: readonly { readonly slot: number; readonly floor: string }[];
  /** Numbers that are being worked on and must not come back. A number is unique over all slots. */
  readonly inFlight: readonly string[];
  /** At most this many of one slot. */
  readonly perSlot: number;
  /** At most this many in all. */
  readonly limit: number;
}

export interface ReadResult {
  /**
   * `pending` ones, ascending per slot. What is shown of a slot is always a prefix of what is
   * pending there above the floor and not in flight: a floor is raised on the strength of it.
   */
  readonly rows: readonly QueuedMessage[];
  /** `xmin` of the snapshot that was read; decimal string. */
  readonly snapshotXmin: string;
}

/** A change of a row that is not its completion. Fenced by the lease. */
export type SlotChange =
  /** Failed: due again after `delayMs`, counted as an attempt when `counts`. */
  | {
      readonly kind: 'retry';
      readonly place: Place;
      readonly delayMs: number;
      readonly counts: boolean;
      readonly error: string;
    }
  /** Follows a held key: moved aside. */
  | { readonly kind: 'hold'; readonly place: Place }
  /**
   * Given up, counted as an attempt when `counts`. With `block` it goes on holding back its key. `mail` is put in the same transaction:
   * the saga that waits for the answer to a dead command must hear of it, or it waits for ever.
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
  /** Nothing holds back the key any more: its held rows are pending again, with their numbers. */
  | { readonly kind: 'release'; readonly key: KeyName };

export type SlotChangeOutcome = 'changed' | 'lost_lease' | 'gone';

/**
 * A queue cut into slots: the outbox, and each consumer group of the Postgres broker. Rows of a slot
 * are read by the owner of its lease only. Every read starts at the slot's floor and leaves out what
 * is in flight: a cursor would lose what commits late.
 */
export interface SlotQueueStore {
  /** How many slots there are; a constant of the schema. */
  readonly slots: number;

  /** Makes an incarnation known, so that slots are shared fairly among those that live. */
  join(incarnation: string, ttlMs: number): Promise<void>;
  /**
   * Renews the membership and all leases of an incarnation. A lease that is not in the answer is
   * lost. `members` counts the living.
   */
  renew(
    incarnation: string,
    ttlMs: number,
  ): Promise<{ readonly members: number; readonly leases: readonly SlotLease[] }>;
  /** Takes up to `limit` slots that nobody living owns, raising their epochs. */
  acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]>;
  /** Gives slots back, in grace: no crash is counted. */
  release(incarnation: string, slots: readonly number[]): Promise<void>;
  /** Gives everything back and forgets the incarnation. */
  leave(incarnation: string): Promise<void>;
  /**
   * Notes, before it is worked on, the number of the message a suspicious slot works on. Null: the
   * slot has made progress; nothing is suspected any more and `crashes` is 0 again.
   */
  noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<void>;
  /**
   * Says of leases that lapsed that their owner lives, with the crashes it knew of. Whoever took such a
   * slot over counted a crash that was none: where the slot still has the epoch after the lapsed one, its
   * `crashes` go back to those of the lapsed lease, and with the last of them its `suspect` goes. Where the
   * slot has changed its owner again, or the crashes were cleared, nothing changes. Saying it twice changes
   * nothing more.
   */
  retractCrashes(lapsed: readonly SlotLease[]): Promise<void>;

  probeFloor(): Promise<FloorProbe>;
  read(request: ReadRequest): Promise<ReadResult>;
  /**
   * Keys of the leased slots that are held back, once per row that does so, and keys of which only
   * `held` rows are left (`head` null). Unordered rows hold nothing back and are not named.
   */
  heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]>;
  /**
   * Rows of the leased slots that are retrying and due, ascending: of ordered ones at most the first
   * of each key.
   */
  readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    limit: number,
  ): Promise<readonly QueuedMessage[]>;
  /**
   * Gives delayed messages whose time has come their number, under their key's lock, and makes
   * optimistic ones whose hold is over pending. Returns how many. As whatever makes a row with an
   * old number pending (except the owner's own `release`), the latter raises the slot's version:
   * an owner's floor may be above it.
   */
  promote(limit: number): Promise<number>;
  /** Milliseconds until the next delayed, retrying or optimistic row of the slots is due; null: none. */
  nextDueInMs(slots: readonly number[]): Promise<number | null>;

  /**
   * Removes (or archives) what was acknowledged. Needs no fence: an acknowledged message is done,
   * whoever says so. Rows that are gone already are no error.
   */
  complete(places: readonly Place[]): Promise<void>;
  /**
   * Fenced changes: the lease row is locked first and matched on incarnation and epoch, so that no
   * stale owner's change lands after a take-over. In the order given, outcome by outcome.
   */
  change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]>;

  /**
   * Whether messages wait here that nobody takes: null where a process lives that works on the queue,
   * or where nothing waits. Otherwise for how many milliseconds the oldest of the messages that could
   * be worked on now has waited. Costs the same however much waits: it is asked regularly.
   */
  unserved(): Promise<number | null>;

  /** For metrics and health: how many rows per status, and the age of the oldest pending one. */
  stats(): Promise<{
    readonly byStatus: ReadonlyMap<QueuedStatus, number>;
    readonly oldestPendingMs: number | null;
  }>;
}
