import type { RetryPolicy } from '../../retry/index.js';
import type { SlotSettings } from '../slots/index.js';

/** How a relay publishes. Times in milliseconds. */
export interface RelaySettings extends SlotSettings {
  /** Messages handed to the broker at once. Default 1,000. */
  readonly batchSize: number;
  /**
   * Bytes of payload handed to the broker at once, a larger message alone. Default 8 MiB: what takes
   * longer than `publishTimeoutMs` is repeated as it was, and would never leave.
   */
  readonly batchBytes: number;
  /** Batches with the broker at once; they never share a key. Default 1. */
  readonly concurrentBatches: number;
  /**
   * How long a publish may take before the messages count as unknown. Their keys wait until the
   * broker's client has settled all the same, at most six times as long, and then they are sent again.
   * Default 5,000; must be well below `leaseTtlMs`, or
   * nothing could ever be begun.
   */
  readonly publishTimeoutMs: number;
  /** Of a message the broker refuses. Default: 20 attempts in about 45 minutes. */
  readonly retry: RetryPolicy;
  /** Between attempts while the broker takes nothing: grows from 100 to this. Default 10,000. */
  readonly maxPauseMs: number;
  /**
   * What follows a message that was given up: `skip`, its key goes on without it; `block`, its key
   * stays behind it until a person replays or discards it. Commands are always skipped: a blocked
   * one would keep its own compensation from being sent. Default: `skip` for every topic.
   */
  readonly afterDeadLetter: (topic: string) => 'skip' | 'block';
}

export const RELAY_RETRY: RetryPolicy = Object.freeze({
  attempts: 20,
  backoffMs: 500,
  factor: 2,
  maxDelayMs: 300_000,
  jitter: 0.5,
});

export const DEFAULT_RELAY_SETTINGS: Omit<RelaySettings, keyof SlotSettings> = Object.freeze({
  batchSize: 1_000,
  batchBytes: 8 * 1_024 * 1_024,
  concurrentBatches: 1,
  publishTimeoutMs: 5_000,
  retry: RELAY_RETRY,
  maxPauseMs: 10_000,
  afterDeadLetter: () => 'skip' as const,
});
