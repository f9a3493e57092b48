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

/** What the inbox must know of whoever handles a message. */
export interface InboxHandler {
  readonly group: string;
  /** The contract's type. */
  readonly type: string;
  readonly retry: RetryPolicy;
  /**
   * How long it may take, in ms. Then its signal is aborted, its transaction cannot commit any more, and
   * an attempt is counted. Default 900,000; null: without a limit.
   */
  readonly timeoutMs?: number | null;
  /**
   * How many deaths of the process are held against a message, of those in which it was handled with
   * nothing beside it. Default 3.
   */
  readonly maxCrashes?: number;
  /** Turns what the handler returns into the body of a reply. */
  readonly codec: PayloadCodec;
}

/**
 * The transaction in which a handler works, opened by whoever knows how the application's code joins
 * one.
 */
export interface InboxUnit {
  /**
   * Opens a transaction of the store the inbox is in, runs `body` in it, writes what was published
   * meanwhile (by the application, and through `publish`) to the outbox as the last thing, and commits.
   *
   * Must not resolve without proof of the commit: a transaction that was rolled back in silence
   * rejects with `TransactionAbortedError`, a lost answer with `CommitUnknownError`. What `body`
   * throws is thrown on, after the rollback. `body` runs once per call.
   */
  run<T>(
    body: (transaction: Transaction, publish: (message: OutboxMessage) => void) => Promise<T>,
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
  /** Its handler ends the process. */
  | 'crashed'
  /** Its headers make no sense. */
  | 'malformed'
  /** It is not signed, or not by a holder of the keys. */
  | Distrust['reason'];

/** How the handling of one delivery ended. */
export type InboxOutcome =
  | { readonly kind: 'committed' }
  /** It had been handled, or given up, before. */
  | { readonly kind: 'duplicate' }
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
    }
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      /** False: a lost race, a busy row or an absent database; no attempt is used up. */
      readonly counted: boolean;
      readonly error: unknown;
    };

/** What a message is to its handler. A `compensation` is a command that undoes an earlier one. */
export type MessageRole = 'command' | 'compensation' | 'event';

/** One delivery came to its end. */
export interface InboxEvent {
  readonly message: Message;
  readonly group: string;
  readonly role: MessageRole;
  readonly outcome: InboxOutcome;
  /** From the delivery to its outcome. */
  readonly durationMs: number;
}

/** Counts what the inbox does. What it throws is logged and goes no further. */
export interface InboxObserver {
  /** The handling of a delivery has ended, however it ended. */
  ended(event: InboxEvent): void;
}

export interface InboxProcessorOptions {
  readonly inbox: InboxStore;
  readonly outbox: Pick<OutboxStore, 'append'>;
  /** For the inbox's own bookkeeping: never the application's pool. */
  readonly transactions: Transactions;
  /** CloudEvents source of replies. */
  readonly service: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Checks every message before anything else. What it does not believe is a dead letter at once, without
   * a reply. Default: all are believed.
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
  /** How long a handler whose time is over is waited for, in ms. Default: as long as its time was, from 1,000 to 10,000. */
  readonly graceMs?: number;
  /** Shared by all processors of a process, so that a suspect is alone in it. Default: one of its own. */
  readonly gate?: SoloGate;
  /** How many messages of a group whose handler was once too slow are handled at once. Default 2. */
  readonly slowPlaces?: number;
}
