import type { RetryPolicy } from '../../retry/index.js';
import type { SlotSettings } from '../slots/index.js';

/** How a relay publishes. Times in milliseconds. */
export interface RelaySettings extends SlotSettings {
  /** Messages given to the broker at once. Default 1,000. */
  readonly batchSize: number;
  /**
   * Bytes of payload given to the broker at once; a larger message is sent alone. Default 8 MiB,
   * because a batch that takes longer than `publishTimeoutMs` is repeated unchanged and would never
   * succeed.
   */
  readonly batchBytes: number;
  /** Batches sent at the same time; they never share a key. Default 1. */
  readonly concurrentBatches: number;
  /**
   * How long a publish may take before the messages count as unknown. Their keys wait until the
   * broker's client answers after all, at most six times as long, and then the messages are sent again.
   * Default 5,000; must be well below `leaseTtlMs`, or nothing could ever be begun.
   */
  readonly publishTimeoutMs: number;
  /** The retries of a message that the broker refuses. Default: 20 attempts in about 45 minutes. */
  readonly retry: RetryPolicy;
  /**
   * The longest pause between attempts while the broker takes nothing; pauses grow from 100 to this.
   * Default 10,000.
   */
  readonly maxPauseMs: number;
  /**
   * The fate of the later messages of a key after one was given up. `skip`: they are published;
   * `block`: they wait until a person replays or discards it. Commands are always skipped: a blocked
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
