import type { StoreFailure } from '../../errors/index.js';
import type { Message, PublishOutcome } from '../../ports/index.js';

/**
 * What a relay tells metrics and logs. Called in the hot path: cheap. What it throws is logged and
 * changes nothing.
 */
export interface RelayObserver {
  /** A batch was answered: how many messages were acknowledged, how many sent, and how long it took. */
  published?(acknowledged: number, sent: number, durationMs: number): void;
  /** A message was refused, or unknown when sent alone: the attempt counts. */
  failed?(message: Message, attempt: number, outcome: PublishOutcome['kind'], error: unknown): void;
  /** A message was given up and lies in the store as a dead letter. */
  deadLettered?(message: Message, reason: string, error: unknown): void;
  /** The broker, or one topic of it, takes nothing; it is left alone for a while. */
  paused?(topic: string | null, ms: number, error: unknown): void;
  /** A publish was not answered in time. */
  timedOut?(messages: number): void;
  /** A message left the outbox; milliseconds since it was written, as of its reading. */
  lag?(ms: number): void;
  /** How many slots this relay holds now. */
  leases?(count: number): void;
  /** The outbox could not be asked or changed; nothing is lost, it is tried again. */
  storeFailed?(event: { readonly failure: StoreFailure }): void;
}
