import type { DeadLetterFilter, DeadLetterOutcome } from './outbox-store.js';
import type { LandedRow, LandingStore } from './landing-store.js';
import type { Message } from './message.js';
import type { Transaction } from './transaction.js';

/** The key by which a consumer group recognises a message. Its parts are compared exactly. */
export interface InboxKey {
  readonly tenant: string;
  readonly group: string;
  readonly source: string;
  readonly id: string;
}

/** The reply to a command as it was first sent, kept so that it can be sent again. */
export interface KeptReply {
  readonly type: string;
  readonly status: 'ok' | 'refused' | 'failed';
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** The state of an idempotency key in the service that handles its command. */
export type ParticipantState =
  /** The key was unknown; this transaction has written its row. */
  | { readonly kind: 'first' }
  /** The command was carried out; its reply is repeated. */
  | { readonly kind: 'applied'; readonly reply: KeptReply | null }
  /** A compensation came first or later: the command must do nothing. */
  | { readonly kind: 'undone' };

/** Whether the command that a compensation undoes is known to have been carried out. */
export type Applied = 'applied' | 'unknown';

/** The key whose messages a group handles one after the other, in order. */
export interface InboxLine {
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
}

/**
 * The state of a message when it is claimed:
 * - `new`: it may be handled; this transaction has recorded it as done.
 * - `held`: a message of its key is in the landing queue and holds the key, so that this one must be
 *   landed behind it. Nothing was written.
 * - `landed`: it is in the landing queue itself, and is handled from there.
 * - `done`, `dead`: it was handled or dead-lettered before.
 */
export type ClaimState = 'new' | 'held' | 'landed' | 'done' | 'dead';

export interface ClaimOptions {
  /**
   * After so many milliseconds without a statement, the database may end the transaction: its process is
   * frozen or lost, and nobody else would release the message and the rows that the handler has locked.
   * Default: it has only the limit of its session, if any.
   */
  readonly idleMs?: number;
  /**
   * The key in whose order the message is. Its handlers exclude each other until their transactions end.
   * Default: none, and the message neither waits for others nor is held by them.
   */
  readonly line?: InboxLine;
  /**
   * The number of its row in the landing queue, where the message is handled from there. It is `new` if its
   * state is `landed`, and `held` if a row of its key with a lower number holds the key: an owner of the slot
   * may not know of it yet, because another process has put it there.
   */
  readonly landed?: string;
}

/** Why a message was dead-lettered, and after how many attempts. */
export interface InboxDeath {
  readonly message: Message;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
  /** Whether it goes on holding back the later messages of its key. Default false. */
  readonly blocks?: boolean;
}

export interface InboxDeadLetter extends InboxDeath {
  readonly cursor: string;
  readonly group: string;
  readonly diedAt: Date;
}

/**
 * The counts of a message's attempts. They are written outside of its handler's transaction, which
 * rolls back.
 */
export interface InboxAttempts {
  /** How many attempts have failed and count. */
  readonly failures: number;
  /** How many of these exceeded their time limit. */
  readonly timeouts: number;
  /**
   * How many attempts since the last one that ended were noted at their start beside others, and did
   * not end because the process died.
   */
  readonly starts: number;
  /** How many such attempts were alone in their process, and therefore killed it. */
  readonly crashes: number;
}

/** Records which messages a consumer has handled, so that each has its effects once. */
export interface InboxStore extends LandingStore {
  /**
   * First statement of a handler's transaction. Waits for another transaction that handles the message, or
   * one of its key, at most `waitMs`; then throws `InboxBusyError`. What a transaction that it waited for
   * has written is seen.
   */
  claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options?: ClaimOptions,
  ): Promise<ClaimState>;

  /**
   * Second statement of a command's transaction: writes or reads the participant's row of an
   * idempotency key. Rows are kept for `keepMs` milliseconds, so that marks of undone keys outlive the
   * commands.
   */
  beginCommand(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState>;
  /**
   * Keeps the reply of a command, in its transaction. The store may write it together with the next
   * statement of the transaction, or with its COMMIT, which then fails with the error of it.
   */
  keepReply(
    tenant: string,
    idempotencyKey: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void>;
  /**
   * Marks the key undone, in the transaction of the compensation's handler, and returns what was known
   * of it.
   */
  markUndone(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied>;

  /** Reads the state of the key; writes nothing. `first`: the key is unknown. */
  lookAtParticipant(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState>;

  /** Reads the counts of the message's attempts; all are 0 if none is recorded. */
  readAttempts(key: InboxKey): Promise<InboxAttempts>;
  /**
   * Notes the start of an attempt of a message that was delivered before without a known end, so that
   * it may have killed its process. `alone`: no other handler of the process's consumers is running.
   * Commits at once, so that the note survives this process too.
   */
  noteStart(key: InboxKey, alone: boolean): Promise<InboxAttempts>;
  /** Notes that the attempt that began alone goes on beside others. Commits at once. */
  noteCompany(key: InboxKey): Promise<InboxAttempts>;
  /**
   * Takes back the note of a start: its handler was not called, or the message was given back, so the
   * attempt says nothing about it. Earlier starts stay. Commits at once.
   *
   * @param alone as in the note, unless its attempt went on beside others
   */
  takeBackStart(key: InboxKey, alone: boolean): Promise<InboxAttempts>;
  /**
   * Notes how an attempt ended: `failed` and `timed_out` count as failures, `uncounted` does not. The
   * process has survived it, so the notes of all starts are removed. Commits at once.
   */
  noteEnd(key: InboxKey, end: 'failed' | 'timed_out' | 'uncounted'): Promise<InboxAttempts>;

  /**
   * Makes the message a dead letter of its group's landing queue, in the given transaction. Its attempts
   * are forgotten, so that a replay has all of them. Waits for another transaction that handles the
   * message, at most `waitMs`; then throws `InboxBusyError`. False: it was handled, landed or dead-lettered
   * meanwhile, and nothing was written.
   *
   * @param landed the row of the landing queue that becomes the dead letter; undefined: the message is not
   * in the landing queue. Throws `LandedRowLostError` if the row is another process's by now.
   */
  bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
    line: InboxLine | undefined,
    landed?: LandedRow,
  ): Promise<boolean>;
  listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]>;
  /**
   * Puts dead letters back at their places in the landing queue, with no attempts counted, where they hold
   * their keys again. Returns an outcome for each key, in the order given. One that was put back before and
   * has not been handled yet is `done`.
   */
  replayDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /**
   * Removes dead letters for good. Their messages stay ended, so that a late duplicate is dropped.
   * Returns an outcome for each key, in the order given. One that was put back and has not been handled
   * yet is `busy`.
   */
  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /** How many there are, counted up to `MOST_COUNTED` of each group, since counting has a cost. */
  countDeadLetters(): Promise<number>;

  /**
   * Removes rows that are not needed any more, at most `limit` of each kind, and skips locked ones:
   * messages that ended and were claimed more than `doneMs` milliseconds ago, participant rows past
   * their time, and counts of attempts of the same age. Rows of open transactions and of messages that are
   * in the landing queue, dead letters included, are kept. Returns how many rows were removed.
   */
  prune(doneMs: number, limit: number): Promise<number>;
  /** Milliseconds until an ISO 8601 instant by the store's clock; negative: passed. */
  msUntil(instant: string): Promise<number>;
}
