import type { StoreFailure } from '../../errors/index.js';
import type { Message, PublishOutcome } from '../../ports/index.js';

/**
 * Receives the events of a relay, for metrics and logs. The methods are called for every batch, so they
 * must be cheap. An error that one throws is logged and has no other effect.
 */
export interface RelayObserver {
  /** A batch was answered: how many messages were acknowledged, how many sent, and how long it took. */
  published?(acknowledged: number, sent: number, durationMs: number): void;
  /**
   * An attempt was counted: the broker refused the message, or did not answer when it was sent alone.
   */
  failed?(message: Message, attempt: number, outcome: PublishOutcome['kind'], error: unknown): void;
  /** A message was given up and is kept in the store as a dead letter. */
  deadLettered?(message: Message, reason: string, error: unknown): void;
  /**
   * The broker, or one topic of it (`topic`), takes no messages; the relay pauses for `ms`
   * milliseconds.
   */
  paused?(topic: string | null, ms: number, error: unknown): void;
  /** A publish was not answered in time. */
  timedOut?(messages: number): void;
  /** A message was published, `ms` milliseconds after it was written, by the clocks at its reading. */
  lag?(ms: number): void;
  /** How many slots this relay holds now. */
  leases?(count: number): void;
  /** The outbox could not be read or changed. No message is lost; it is tried again. */
  storeFailed?(event: { readonly failure: StoreFailure }): void;
}
