import type { DeadLetterFilter } from './outbox-store.js';
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

export interface InboxDeadLetter {
  readonly cursor: string;
  readonly group: string;
  readonly message: Message;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
  readonly diedAt: Date;
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
  beginCommand(tenant: string, idempotencyKey: string, keepMs: number, transaction: Transaction, waitMs: number): Promise<ParticipantState>;
  /** Keeps the reply of a command, in its transaction. */
  keepReply(tenant: string, idempotencyKey: string, reply: KeptReply, transaction: Transaction): Promise<void>;
  /** Marks the key undone, in the transaction of the compensation's handler, and says what was known. */
  markUndone(tenant: string, idempotencyKey: string, keepMs: number, transaction: Transaction, waitMs: number): Promise<Applied>;

  /**
   * Marks the message dead and keeps it, in the given transaction. False: someone has ended it
   * (done or dead) meanwhile, and nothing was written.
   */
  bury(
    key: InboxKey,
    letter: { readonly message: Message; readonly attempts: number; readonly reason: string; readonly error: string },
    transaction: Transaction,
    waitMs: number,
  ): Promise<boolean>;
  listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]>;
  /** Takes dead letters out and clears their inbox rows, so that they can be handled again. */
  takeForReplay(keys: readonly InboxKey[], transaction: Transaction): Promise<readonly InboxDeadLetter[]>;
  discardDeadLetters(keys: readonly InboxKey[]): Promise<number>;
  countDeadLetters(): Promise<number>;

  /** Forgets `done` rows older than `doneMs` and participant rows past their time; in batches; returns how many. */
  prune(doneMs: number, limit: number): Promise<number>;
  /** Milliseconds until an ISO 8601 instant by the store's clock; negative: passed. */
  msUntil(instant: string): Promise<number>;
}
