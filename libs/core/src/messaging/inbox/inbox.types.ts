import type { StoreFailure } from '../../errors/index.js';
import type { RetryPolicy } from '../../retry/index.js';
import type {
  Clock,
  FaultPoints,
  InboxStore,
  Logger,
  Message,
  OutboxMessage,
  OutboxStore,
  Transaction,
  Transactions,
} from '../../ports/index.js';
import type { PayloadCodec } from '../codec/index.js';
import type { Distrust, MessageSigning } from '../signing/index.js';
import type { SoloGate } from './solo-gate.js';

/** A handler of messages, as the inbox needs to know it. */
export interface InboxHandler {
  readonly group: string;
  /** The contract's type. */
  readonly type: string;
  readonly retry: RetryPolicy;
  /**
   * How long the handler may take, in ms. After that its signal is aborted, its transaction cannot
   * commit any more, and an attempt is counted. Default 900,000; null: no limit.
   */
  readonly timeoutMs?: number | null;
  /**
   * How many crashes of the process make a message a dead letter. Only crashes in which it was handled
   * alone count. Default 3.
   */
  readonly maxCrashes?: number;
  /**
   * Whether a dead letter of it holds back the later messages of its key, until it is replayed or discarded.
   * Default false: they go on. A command or compensation never holds back others, whose sagas would wait.
   */
  readonly blocks?: boolean;
  /** Turns what the handler returns into the body of a reply: the reply codec of the contract. */
  readonly codec: PayloadCodec;
}

/**
 * Opens the transactions in which handlers work. Implemented by the framework, which knows how the
 * application's code joins one.
 */
export interface InboxUnit {
  /**
   * Opens a transaction of the store the inbox is in, runs `body` in it, writes what was published
   * meanwhile (by the application, and through `publish`) to the outbox as the last thing, and commits.
   *
   * Must not resolve without proof of the commit: it rejects with `TransactionAbortedError` if the
   * transaction was rolled back in silence, and with `CommitUnknownError` if the answer was lost. An
   * error that `body` throws is thrown on, after the rollback. `body` runs once per call.
   *
   * @param last the very last statement before COMMIT, after the messages were written; throwing refuses the
   * commit
   */
  run<T>(
    body: (transaction: Transaction, publish: (message: OutboxMessage) => void) => Promise<T>,
    last?: (transaction: Transaction) => Promise<void>,
  ): Promise<T>;
}

/** Why a message became a dead letter. */
export type BurialReason =
  /** All attempts failed. */
  | 'exhausted'
  /** No attempt can succeed: validation, a 4xx, a `NonRetryableError`. */
  | 'final'
  /** A guard or another interceptor refused it before its handler was reached. */
  | 'rejected'
  /** Its handler kills the process. */
  | 'crashed'
  /** Its headers are missing or contradict each other. */
  | 'malformed'
  /** It is not signed, or not by a holder of the keys. */
  | Distrust['reason'];

/** How the handling of one delivery ended. */
export type InboxOutcome =
  | { readonly kind: 'committed' }
  /**
   * The message had been handled, landed or given up before. `finished`: it came from the landing queue, and
   * its row there has been ended.
   */
  | { readonly kind: 'duplicate'; readonly finished: boolean }
  /** Another message with the same idempotency key had been carried out: its reply was sent again. */
  | { readonly kind: 'repeated' }
  /** A command that came after its compensation: acknowledged, without effect. */
  | { readonly kind: 'late' }
  /** A command past its expiry: not carried out, answered with a failure. */
  | { readonly kind: 'expired' }
  /** The handler threw a `SagaRefusal`. */
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'buried';
      readonly reason: BurialReason;
      readonly attempts: number;
      readonly error: unknown;
      /** Whether it holds back the later messages of its key. */
      readonly blocks: boolean;
    }
  /**
   * It was put into the group's landing queue, and is handled from there. `delayMs`: the time to its next
   * attempt, in milliseconds; null: it waits behind another message of its key.
   */
  | { readonly kind: 'landed'; readonly delayMs: number | null; readonly error: unknown }
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      /** False: a lost race, a busy row or an absent database; no attempt is used up. */
      readonly counted: boolean;
      /** How many attempts have failed and count, where this one does. */
      readonly failures?: number;
      readonly error: unknown;
      /** The handler failed in a trial in which that uses up no attempt. */
      readonly trial?: true;
      /**
       * The store refuses what the inbox asks, because a grant is missing for instance. It is logged once
       * for all messages of the handler.
       */
      readonly refused?: true;
    };

/** The role of a message. A `compensation` is a command that undoes an earlier one. */
export type MessageRole = 'command' | 'compensation' | 'event';

/** The end of the handling of one delivery. */
export interface InboxEvent {
  readonly message: Message;
  readonly group: string;
  readonly role: MessageRole;
  readonly outcome: InboxOutcome;
  /** The time from the delivery to its outcome, in milliseconds. */
  readonly durationMs: number;
}

/**
 * Receives the events of an inbox, for metrics. An error that it throws is logged and has no other
 * effect.
 */
export interface InboxObserver {
  /** The handling of a delivery has ended, however it ended. */
  ended(event: InboxEvent): void;
  /** Messages of the broker were put into the landing queue of their group. */
  landed?(event: { readonly group: string; readonly count: number }): void;
  /** The store refused what the inbox asked to handle a message, which is tried again. */
  storeFailed?(event: { readonly failure: StoreFailure }): void;
}

/** The end of a delivery, as the broker or the landing worker that delivered it needs to know it. */
export type HandledDelivery =
  /**
   * It has ended: for the broker, or, where it came from the landing queue, in that queue too.
   * `landed`: it was put into the landing queue. `blocks`: it is a dead letter that holds back its key.
   */
  | { readonly kind: 'done'; readonly landed?: true; readonly blocks?: true }
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      readonly counted: boolean;
      readonly error: unknown;
    };

export interface InboxProcessorOptions {
  readonly inbox: InboxStore;
  readonly outbox: Pick<OutboxStore, 'append'>;
  /** Transactions for the inbox's own bookkeeping; they must not use the application's pool. */
  readonly transactions: Transactions;
  /** CloudEvents source of replies. */
  readonly service: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Checks the signature of every message first. A message that fails the check becomes a dead letter
   * at once, without a reply. Default: signatures are not checked.
   */
  readonly signing?: Pick<MessageSigning, 'verify'>;
  readonly observer?: InboxObserver;
  readonly faults?: FaultPoints;
  /** 0 … 1; for the jitter of delays. Default `Math.random`. */
  readonly random?: () => number;
  /** How long a duplicate waits for the transaction that works on the message, in ms. Default 1,000. */
  readonly waitMs?: number;
  /** How long a participant remembers a key at least. Default 30 days. */
  readonly keepParticipantsMs?: number;
  /**
   * How long a handler may take to stop after its time limit, in ms. Default: as long as its limit,
   * from 1,000 to 10,000.
   */
  readonly graceMs?: number;
  /**
   * The gate, shared by all processors of a process so that a crash suspect can be handled alone in it.
   * Default: one for this processor.
   */
  readonly gate?: SoloGate;
  /** How many messages of a group that have timed out before are handled at once. Default 2. */
  readonly slowPlaces?: number;
  /**
   * False: a message whose next attempt is more than seconds away is put into the group's landing queue, and
   * so is one that may have killed a process, and the broker's delivery is done. A worker of the landing
   * queue must run for each group. Default true: the broker holds retries itself. What an earlier message of
   * its key holds goes into the landing queue in any case.
   */
  readonly keepsRetries?: boolean;
  /**
   * The longest time to a retry, in milliseconds, for which a message stays with a broker that does not keep
   * its retries. Default 2,000.
   */
  readonly landAfterMs?: number;
  /**
   * Whether the group's landing queue has room for a message of the broker, which otherwise stays with the
   * broker. Default: always.
   */
  readonly mayLand?: (group: string) => boolean;
}
