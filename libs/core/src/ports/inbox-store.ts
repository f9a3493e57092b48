import type { DeadLetterFilter, DeadLetterOutcome } from './outbox-store.js';
import type { Message } from './message.js';
import type { Transaction } from './transaction.js';

/** What makes a message one message for a consumer group. Names are compared exactly. */
export interface InboxKey {
  readonly tenant: string;
  readonly group: string;
  readonly source: string;
  readonly id: string;
}

/** A kept reply: bytes as they were first sent. */
export interface KeptReply {
  readonly type: string;
  readonly status: 'ok' | 'refused' | 'failed';
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** What a participant knows of an idempotency key. */
export type ParticipantState =
  /** Never seen: the row is now there, written by this transaction. */
  | { readonly kind: 'first' }
  /** The command was carried out; its reply is repeated. */
  | { readonly kind: 'applied'; readonly reply: KeptReply | null }
  /** A compensation came first or later: the command must do nothing. */
  | { readonly kind: 'undone' };

/** What is known to a compensation about the command that it undoes. */
export type Applied = 'applied' | 'unknown';

/** Why and after how many attempts a message died. */
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
  /** It was asked for again and waits for a process of its group to handle it. */
  readonly replaying: boolean;
  /** How often it was taken for its replay, this time included; 0: not yet. */
  readonly replays: number;
}

/** What is noted of a message's attempts outside of its handler's transaction, which rolls back. */
export interface InboxAttempts {
  /** Attempts that failed and count. */
  readonly failures: number;
  /** How many of these were given up because their time was over. */
  readonly timeouts: number;
  /**
   * Attempts that were noted when they began, with others beside them, since the last one that came to
   * an end: the process died while they were at work.
   */
  readonly starts: number;
  /** The same of attempts that were alone in their process: it died of them. */
  readonly crashes: number;
}

/** Where a consumer remembers what it has done. */
export interface InboxStore {
  /**
   * First statement of a handler's transaction. `new`: the row is written by this transaction.
   * `done`, `dead`: someone has ended it before. Waits for another transaction that holds the same
   * key, at most `waitMs`; then throws `InboxBusyError`.
   */
  claim(key: InboxKey, transaction: Transaction, waitMs: number): Promise<'new' | 'done' | 'dead'>;

  /**
   * Second statement of a command's transaction: writes or reads the participant's row of an
   * idempotency key. Tombstones outlive commands: rows are kept `keepMs`.
   */
  beginCommand(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState>;
  /** Keeps the reply of a command, in its transaction. */
  keepReply(
    tenant: string,
    idempotencyKey: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void>;
  /** Marks the key undone, in the transaction of the compensation's handler, and says what was known. */
  markUndone(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied>;

  /** What is known of the key; writes nothing. `first` means: never seen. */
  lookAtParticipant(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState>;

  /** What is noted of the message's attempts; nothing noted is zero of both. */
  readAttempts(key: InboxKey): Promise<InboxAttempts>;
  /**
   * Notes that an attempt begins whose message was delivered before, to no known end: the process
   * may have died of it; `alone`: nothing else of the process's consumers is at work. Commits on its
   * own, so that it survives this process too.
   */
  noteStart(key: InboxKey, alone: boolean): Promise<InboxAttempts>;
  /** Notes that the attempt that began alone goes on beside others. Commits on its own. */
  noteCompany(key: InboxKey): Promise<InboxAttempts>;
  /**
   * Notes how an attempt ended: `failed` and `timed_out` count as failures, `uncounted` does not.
   * Commits on its own.
   */
  noteEnd(key: InboxKey, end: 'failed' | 'timed_out' | 'uncounted'): Promise<InboxAttempts>;

  /**
   * Marks the message dead and keeps it, in the given transaction; a letter that was being replayed
   * lies there again. Its attempts are forgotten, so that a replay has all of them. False: someone
   * has ended it (done or dead) meanwhile, and nothing was written.
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
   * again. The letters stay until {@link endReplay}: a crash on the way loses none. Returns an outcome
   * for each key, in the order given; a letter that is being replayed already is due at once, and `done`.
   */
  requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /**
   * Letters of the groups that are marked for replay and due. Each is not due again for `leaseMs`,
   * so that the processes of a group share the work; should two have one, the inbox row decides.
   */
  takeReplays(
    groups: readonly string[],
    limit: number,
    leaseMs: number,
  ): Promise<readonly InboxDeadLetter[]>;
  /** The replayed message is to be tried again `delayMs` from now. */
  postponeReplay(key: InboxKey, delayMs: number): Promise<void>;
  /**
   * Removes the letter of a replayed message if its inbox row says that it is done; else does nothing.
   * `handledAs`: the message was handled under another key than that of the letter (it was not trusted
   * before); then the letter goes once that row is there, done or with a letter of its own.
   */
  endReplay(key: InboxKey, handledAs?: InboxKey): Promise<void>;
  /**
   * Removes letters for good; their messages stay ended, so that a trailing duplicate is dropped. Returns
   * an outcome for each key, in the order given: one that is being replayed, and whose replay does not end
   * within seconds, is `busy` and keeps none of the others from being discarded; a replay that has ended
   * well before makes it `ended`.
   */
  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]>;
  /** Those that are being replayed included: they are not handled yet. */
  countDeadLetters(): Promise<number>;

  /**
   * Forgets what nobody needs any more, at most `limit` of each kind, skipping what is locked:
   * messages that ended and were claimed more than `doneMs` ago, participant rows past their time,
   * notes of attempts as old. What a transaction has claimed and not committed is never touched, and
   * neither is a message whose dead letter lies there. Returns how many rows went.
   */
  prune(doneMs: number, limit: number): Promise<number>;
  /** Milliseconds until an ISO 8601 instant by the store's clock; negative: passed. */
  msUntil(instant: string): Promise<number>;
}
