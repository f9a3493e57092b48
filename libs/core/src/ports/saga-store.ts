import type { FormattedDefinition } from './format.js';
import {
  bytesOf,
  entryBytes,
  type EntryPlace,
  type JournalEntry,
  type RecordedEntry,
} from './journal-entry.js';
import type { LatestEntriesLook } from './latest-entries-look.js';
import type { OutboxMessage } from './message.js';
import type { DroppedMail, Mail, MailFound, MailLook, NewMail } from './saga-mail.js';
import type {
  ApplyOutcome,
  SettledOutcome,
  StartOutcome,
  TransitionOutcome,
} from './saga-outcomes.js';
import type { RemovedSagas, SagaRetention, SharedTask } from './saga-retention.js';
import type { KeptCounts, StoreCounts } from './store-counts.js';
import type { Transaction } from './transaction.js';

/** Every status that a saga can have, in the order in which it may reach them. */
export const SAGA_STATUSES = [
  'pending',
  'running',
  'waiting',
  'compensating',
  'completed',
  'compensated',
  'partially_committed',
  'needs_attention',
  'terminated',
] as const;
/** The status of a saga. `FINAL_STATUSES` are those that never change. */
export type SagaStatus = (typeof SAGA_STATUSES)[number];

/** The statuses that never change. An operator can let a saga in `needs_attention` go on. */
export const FINAL_STATUSES = [
  'completed',
  'compensated',
  'partially_committed',
  'terminated',
] as const satisfies readonly SagaStatus[];
/** One of `FINAL_STATUSES`: how a saga has ended. */
export type FinalStatus = (typeof FINAL_STATUSES)[number];

const FINAL: ReadonlySet<SagaStatus> = new Set<SagaStatus>(FINAL_STATUSES);

/** Counting has a cost, so a store may stop at so many sagas. */
export const MOST_SAGAS_COUNTED = 200_000;

/** Whether the status is final. `needs_attention` is not, since an operator can let the saga go on. */
export function isFinal(status: SagaStatus): boolean {
  return FINAL.has(status);
}

/** The change of a saga's ownership by a transition. One that has ended has no owner, and is never due. */
export type Ownership =
  | { readonly kind: 'keep' }
  /** Gives the saga back. It is due again in `wakeInMs` milliseconds; null: only mail wakes it. */
  | { readonly kind: 'give_back'; readonly wakeInMs: number | null };

/**
 * Everything that one turn of a saga changes, committed by one statement and guarded by
 * (owner, epoch, revision). The revision makes a repeat of a statement that is still running on the
 * server harmless; owner and epoch alone do not.
 */
export interface SagaTransition {
  /** UUID; recorded with the journal entries, so that an unknown outcome can be settled. */
  readonly id: string;
  readonly sagaId: string;
  /** The incarnation that must own the saga. */
  readonly owner: string;
  readonly epoch: number;
  /** The revision the saga must have; it has one more afterwards. */
  readonly revision: number;
  readonly status: SagaStatus;
  readonly ownership: Ownership;
  /** At least one. */
  readonly entries: readonly JournalEntry[];
  readonly messages: readonly OutboxMessage[];
  /** Ids of the mail that this transition takes into account and that the commit removes. */
  readonly consumedMail: readonly string[];
  /** Mail for other sagas. Its keys must be the writer's own: a key that another one writes is waited for. */
  readonly mail: readonly NewMail[];
  /** Sagas that begin with it; one whose id is taken is left out. */
  readonly sagas: readonly BegunSaga[];
  /** The definition and the format of the saga from this transition on; null: as before. */
  readonly becomes: FormattedDefinition | null;
}

export interface NewSaga {
  /** UUIDv7. */
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  /** The lowest format of the engines that can read it. */
  readonly format: number;
  /** The idempotency key, unique per (tenant, name); null: none. */
  readonly key: string | null;
  /** Digest of the input: the same key with another input is refused. */
  readonly inputDigest: string;
  readonly status: 'pending' | 'running' | 'waiting';
  /** The incarnation that will run it, or null: any engine claims it. */
  readonly owner: string | null;
  /** Milliseconds until it is due when it has no owner (0: at once). */
  readonly wakeInMs: number | null;
  /** Milliseconds until its deadline by the database's clock; null: none. */
  readonly deadlineInMs: number | null;
  readonly transitionId: string;
  /** The first entry holds the input. */
  readonly entries: readonly JournalEntry[];
  readonly messages: readonly OutboxMessage[];
}

/** A saga that a transition of another one starts; nobody else could give it an idempotency key. */
export type BegunSaga = Omit<NewSaga, 'key' | 'messages'>;

/** A saga without its journal: its identity, status and owner. */
export interface SagaHeader {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  /** The lowest format of the engines that can read it. */
  readonly format: number;
  readonly key: string | null;
  readonly status: SagaStatus;
  readonly revision: number;
  readonly owner: string | null;
  readonly epoch: number;
  /** Milliseconds to the deadline at the time of the read; negative: passed; null: none. */
  readonly deadlineInMs: number | null;
}

export interface LoadedSaga extends SagaHeader {
  /** In order. Large data that is read on demand is left in the store. */
  readonly entries: readonly RecordedEntry[];
  readonly mail: readonly Mail[];
  /** The incarnation that owned it before this claim and is dead; null: it had no owner. */
  readonly adoptedFrom: string | null;
}

/** The bytes of the journal and the unread mail of a saga, as claims and loads are bounded by them. */
export function loadedBytes({ entries, mail }: LoadedSaga): number {
  return mail.reduce((sum, { data }) => sum + bytesOf(data), entryBytes(entries));
}

/** Versions of a saga that an engine can run. */
export interface RunnableSaga {
  readonly name: string;
  readonly versions: readonly number[];
}

export interface ClaimRequest {
  readonly incarnation: string;
  /** The definitions this engine can run. */
  readonly definitions: readonly RunnableSaga[];
  /** The highest format that it can read: sagas of higher ones are left to others, and so is their mail. */
  readonly format: number;
  readonly limit: number;
  /**
   * No saga is taken after the one that brings the journals and the unread mail of the taken ones to this
   * many bytes, at least 1. Default: no bound.
   */
  readonly bytes?: number;
  /**
   * Sagas that a look for mail has found: those that have no owner and still have unread mail are taken.
   * Default: none.
   */
  readonly mailed?: readonly string[];
}

/** The bounds of a look for unserved sagas. */
export interface UnservedLook {
  /** Only sagas that have waited for at least this many milliseconds. */
  readonly olderThanMs: number;
  readonly limit: number;
}

/** Sagas of one definition that could go on, while no living engine runs that definition. */
export interface UnservedSagas {
  readonly name: string;
  readonly version: number;
  /** The lowest format of the engines that can read them. */
  readonly format: number;
  /** How many were found; at most the limit of the look. */
  readonly count: number;
  /** Whether the look reached its limit, so that there may be more. */
  readonly more: boolean;
  /** For how long the first of them has waited, in milliseconds by the store's clock. */
  readonly oldestMs: number;
  /** The id of one of them. */
  readonly example: string;
}

/** The filter of sagas: those that match every given field. */
export interface SagaFilter {
  readonly tenant?: string;
  readonly name?: string;
  readonly key?: string;
  readonly statuses?: readonly SagaStatus[];
  /** Exclusive: ids after this one, in descending order of id (newest first). */
  readonly before?: string;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/** A saga in a list for people. */
export interface SagaSummary extends SagaHeader {
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/**
 * Stores sagas. Instants are those of the store's own clock. Every method that takes a `transaction`
 * writes in it; without one it uses a connection of the store's own pool and commits.
 *
 * Lock rule: nobody but the owner, an adopter, or an operator who takes ownership writes a saga row,
 * and every set-based write locks its rows in ascending order of id, skipping what is locked.
 */
export interface SagaStore {
  /**
   * Inserts sagas with their first journal entries and messages. A taken key is answered `exists`,
   * read by a second statement so that it sees what a concurrent start committed meanwhile (one
   * statement's snapshot does not). Never fails because of a taken key.
   *
   * Without a transaction it never waits for another transaction's key: such a start is answered
   * `busy`, one whose data the store refuses `rejected`, and those beside them are started. With a
   * transaction it waits for the key for some seconds, then throws `LockTimeoutError`.
   */
  start(sagas: readonly NewSaga[], transaction?: Transaction): Promise<readonly StartOutcome[]>;

  /**
   * Commits transitions of different sagas in one set-based statement, with an outcome for each, in the
   * order given; at most one per saga. A transition whose data the database refuses is `rejected`, and
   * the others are committed. Rejects only when the outcome of all is unknown.
   *
   * A message whose key is not the saga's id takes its place in that key as {@link OutboxStore.append}
   * does, before its number is drawn; where another transaction holds the key, its transition is `busy`.
   */
  flush(transitions: readonly SagaTransition[]): Promise<readonly TransitionOutcome[]>;

  /**
   * Commits one transition, as the last statement of a transaction before its COMMIT. Waits a moment for
   * the keys of its messages, then for the row of the saga, and says which of them it did not get.
   */
  apply(transition: SagaTransition, transaction: Transaction): Promise<ApplyOutcome>;

  /**
   * Settles an unknown outcome by a locking read: it waits for a statement that may still run on the
   * server, then looks for the transition's id. Only `not_applied` may be repeated.
   */
  settle(transition: SagaTransition): Promise<SettledOutcome>;

  /**
   * Takes sagas for an incarnation, at most `limit`: those without an owner that are due or have mail
   * ({@link ClaimRequest.mailed}), and those whose owner is not a living engine, however long ago it
   * died. Raises the epoch. Takes a final saga only for `late` mail, see {@link dropDeadMail}. Brings all
   * unread mail of a saga, also mail that the engine cannot read.
   */
  claim(request: ClaimRequest): Promise<readonly LoadedSaga[]>;

  /** The ids of the sagas that an incarnation owns, also those it does not know of. */
  owned(incarnation: string): Promise<readonly string[]>;
  /**
   * Loads sagas as they are, if the incarnation owns them; `adoptedFrom` is null. None is loaded after the
   * one that brings them to this many bytes, as in {@link ClaimRequest}.
   */
  load(ids: readonly string[], incarnation: string, bytes?: number): Promise<readonly LoadedSaga[]>;
  /**
   * Sagas that {@link claim} would give to an engine that runs their name and version, for at least
   * `olderThanMs` now, where no living engine registered that it does; an engine overdue by more than
   * that counts as dead, since the last one is never declared so. Looks, of each definition, at no more
   * than `limit` sagas that are due and as many of each dead engine, and at as many letters, the longest
   * waiting first.
   */
  unserved(look: UnservedLook): Promise<readonly UnservedSagas[]>;
  /** Milliseconds until the next unowned saga of these definitions and formats is due; null when none has a time. */
  nextDueInMs(definitions: readonly RunnableSaga[], format: number): Promise<number | null>;

  /** Stores mail whose (saga, dedupeKey) is new, and drops other mail. Locks no saga row. */
  putMail(mail: readonly NewMail[], transaction?: Transaction): Promise<void>;
  /**
   * Looks for mail that is new since the look before, also for mail whose transaction began before that
   * look and was committed after it. Mail is found again as long as it is unread and a look begins before
   * it, and may be found twice. A caller that neither delivered nor claimed what it was told of begins
   * again from null.
   */
  lookForMail(look: MailLook): Promise<MailFound>;
  /**
   * Looks at a page of mail, behind that of the call before. Deletes mail of final sagas, and mail older than
   * `orphanAgeMs` of sagas that do not exist. Mail of kind `late` is kept: it reports an effect that came
   * afterwards, and makes the saga due although it is final. So is mail of a higher format than the given one,
   * which only a newer engine can judge. Mail that was written without the definition of its saga gets it.
   */
  dropDeadMail(orphanAgeMs: number, format: number): Promise<DroppedMail>;

  /**
   * Whether the caller does a task now that one process does for all: one caller is answered true, and the
   * others false, until `everyMs` milliseconds have passed by the store's clock.
   */
  takeTurn(task: SharedTask, everyMs: number): Promise<boolean>;
  /**
   * Removes ended sagas, with all that belongs to them, and idempotency keys that are older than they are
   * kept; at most `limit` sagas and as many keys. The key of a saga that has not ended
   * is kept.
   */
  removeOld(keep: SagaRetention, limit: number): Promise<RemovedSagas>;

  get(id: string, transaction?: Transaction): Promise<SagaSummary | null>;
  /** The statuses of sagas by id, without unknown ids. The caller bounds the ids. */
  statusesOf(ids: readonly string[]): Promise<ReadonlyMap<string, SagaStatus>>;
  find(filter: SagaFilter): Promise<readonly SagaSummary[]>;
  /**
   * The journal of a saga, in order. `onDemand: 'leave'`: large data that is read on demand is left in the
   * store, as by claims; by default it is read.
   */
  history(
    id: string,
    options?: { readonly onDemand?: 'read' | 'leave' },
  ): Promise<readonly RecordedEntry[]>;
  /**
   * The data of entries that was left in the store, in the order of the places, up to the one that brings it to
   * `bytes`, and at least one; null where there is none.
   */
  dataOf(
    id: string,
    places: readonly EntryPlace[],
    bytes?: number,
  ): Promise<readonly (string | null)[]>;
  /** For lists: the newest entry of each kind, step and item of each journal, in order, without long data. */
  latestEntries(look: LatestEntriesLook): Promise<ReadonlyMap<string, readonly RecordedEntry[]>>;
  /**
   * How many sagas have each status. Final ones may be left out, and counting may stop at
   * `MOST_SAGAS_COUNTED` sagas, and at as many that need a person.
   */
  countByStatus(): Promise<ReadonlyMap<SagaStatus, number>>;
  /** Keeps counts for all processes, in place of those before. */
  keepCounts(counts: StoreCounts): Promise<void>;
  /** The counts that a process kept last; null: none did. */
  keptCounts(): Promise<KeptCounts | null>;
}
