import type { DeadLetterFilter, DeadLetterOutcome } from './outbox-store.js';
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

/** Why a message was dead-lettered, and after how many attempts. */
export interface InboxDeath {
  readonly message: Message;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
}

export interface InboxDeadLetter extends InboxDeath {
  readonly cursor: string;
  readonly group: string;
  readonly diedAt: Date;
  /** Whether a replay was requested and has not ended yet. */
  readonly replaying: boolean;
  /** How often a process has taken it for its replay, this time included; 0: not yet. */
  readonly replays: number;
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
export interface InboxStore {
  /**
   * First statement of a handler's transaction. `new`: the row is written by this transaction. `done`,
   * `dead`: it was handled or dead-lettered before. Waits for another transaction that holds the same
   * key, at most `waitMs`; then throws `InboxBusyError`.
   *
   * @param idleMs after so many milliseconds without a statement, the database may end the transaction: its
   * process is frozen or lost, and nobody else would release the message and the rows that the handler
   * has locked. Undefined: it has only the limit of its session, if any.
   */
  claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    idleMs?: number,
  ): Promise<'new' | 'done' | 'dead'>;

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
   * Makes the message a dead letter, in the given transaction; one that was being replayed becomes a
   * dead letter again. Its attempts are forgotten, so that a replay has all of them. False: it was
   * handled or dead-lettered meanwhile, and nothing was written.
   */
  bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
  ): Promise<boolean>;
  listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]>;
  /**
   * Marks dead letters for replay and clears their inbox rows, so that the message can be handled
   * again. The dead letters are kept until {@link endReplay}, so that a crash meanwhile loses none.
   * Returns an outcome for each key, in the order given; a dead letter that is being replayed already
   * becomes due at once, and is `done`.
   */
  requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /**
   * Takes dead letters of the groups that are marked for replay and due. Each is not due again for
   * `leaseMs` milliseconds, so that the processes of a group share the work. If two take the same one,
   * the inbox row decides.
   */
  takeReplays(
    groups: readonly string[],
    limit: number,
    leaseMs: number,
  ): Promise<readonly InboxDeadLetter[]>;
  /** Has the replayed message tried again in `delayMs` milliseconds. */
  postponeReplay(key: InboxKey, delayMs: number): Promise<void>;
  /**
   * Removes the dead letter of a replayed message if its inbox row is done; otherwise does nothing.
   * `handledAs`: the message was handled under another key than that of the dead letter (it was not
   * trusted before); the dead letter is then removed once the row of that key is done or has a dead
   * letter of its own.
   */
  endReplay(key: InboxKey, handledAs?: InboxKey): Promise<void>;
  /**
   * Removes dead letters for good. Their messages stay ended, so that a late duplicate is dropped.
   * Returns an outcome for each key, in the order given. One whose replay is running and does not end
   * within seconds is `busy`, and the others are discarded all the same; one whose replay has succeeded
   * meanwhile is `ended`.
   */
  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /** Counts dead letters, including those that are being replayed, since they are not handled yet. */
  countDeadLetters(): Promise<number>;

  /**
   * Removes rows that are not needed any more, at most `limit` of each kind, and skips locked ones:
   * messages that ended and were claimed more than `doneMs` milliseconds ago, participant rows past
   * their time, and counts of attempts of the same age. Rows of open transactions and of messages with
   * a dead letter are kept. Returns how many rows were removed.
   */
  prune(doneMs: number, limit: number): Promise<number>;
  /** Milliseconds until an ISO 8601 instant by the store's clock; negative: passed. */
  msUntil(instant: string): Promise<number>;
}
