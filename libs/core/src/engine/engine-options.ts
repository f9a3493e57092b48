import type {
  Clock,
  FaultPoints,
  InboxStore,
  LogFields,
  Logger,
  SagaRetention,
  Store,
} from '../ports/index.js';
import type { SagaDefinition } from '../saga/index.js';
import type { FactStream } from './facts/index.js';
import type { StepTransactions } from './step-transactions.js';

/** The parts of a store that the engine uses. */
export type EngineStore = Pick<Store, 'transactions' | 'sagas' | 'engines' | 'wakeUps'> & {
  readonly inbox: Pick<InboxStore, 'msUntil'>;
};

/** Sizes and durations, in milliseconds. */
export interface EngineSettings {
  /** Steps running at once. Default 500. */
  readonly maxInFlight: number;
  /** Sagas in memory at once; further ones are left to other engines or wait. Default 5,000. */
  readonly maxSagas: number;
  /**
   * Transactional steps running at once; should be below the size of the application's pool. Default 5.
   */
  readonly maxTransactions: number;
  /** After this long without a heartbeat an engine may be declared dead. Default 15,000. */
  readonly ttlMs: number;
  /** How often the store is asked for work when no hint arrives. Default 1,000. */
  readonly pollMs: number;
  /** How often the engine looks for sagas that it owns without knowing it. Default 5,000. */
  readonly ownedCheckMs: number;
  /** Flushes of transitions in flight at once. Default 4. */
  readonly flushers: number;
  /**
   * So many transitions must be queued before a further flush begins beside one in flight. Default 16.
   */
  readonly flushShare: number;
  /** Transitions in one flush at most. Default 500. */
  readonly flushGroup: number;
  /** A flush without an answer for this long stops the heartbeat. Default 30,000. */
  readonly stuckMs: number;
  /**
   * How long a promise that was timed out or aborted may stay unsettled before its step is retried
   * or undone all the same. Default 30,000.
   */
  readonly settleBoundMs: number;
  /** Delays shorter than this stay in memory; longer ones give the saga back meanwhile. Default 1,000. */
  readonly shortDelayMs: number;
  /**
   * Starts under way at once, in memory until the store has taken them, together with at most 64 MB of
   * input; further ones wait. Default 5,000.
   */
  readonly maxStarts: number;
  /** How long such a start waits before it fails with `StartQueueFullError`. Default 5,000. */
  readonly startWaitMs: number;
  /**
   * Calls of `outcome()` and `result()` that may wait at once; one more is refused with
   * `TooManySagaWaitsError`. Default 10,000.
   */
  readonly maxWaits: number;
  /** How long a shutdown waits for running steps. Default 10,000. */
  readonly shutdownMs: number;
}

export const DEFAULT_ENGINE_SETTINGS: EngineSettings = Object.freeze({
  maxInFlight: 500,
  maxSagas: 5_000,
  maxTransactions: 5,
  ttlMs: 15_000,
  pollMs: 1_000,
  ownedCheckMs: 5_000,
  flushers: 4,
  flushShare: 16,
  flushGroup: 500,
  stuckMs: 30_000,
  settleBoundMs: 30_000,
  shortDelayMs: 1_000,
  maxStarts: 5_000,
  startWaitMs: 5_000,
  maxWaits: 10_000,
  shutdownMs: 10_000,
});

export interface SagaEngineOptions {
  /** CloudEvents source of commands; replies arrive on `<service>.replies`. */
  readonly service: string;
  readonly store: EngineStore;
  /**
   * The definitions of the sagas that this engine can run. Sagas of other names or versions are left to
   * other engines.
   */
  readonly definitions: readonly SagaDefinition[];
  /** The instance whose methods are the steps. */
  readonly resolve: (definition: SagaDefinition) => object;
  /**
   * Whether replies can reach this process. If they cannot, a command is refused before it is sent,
   * because its saga would wait for the reply until its timeout. Default true.
   */
  readonly hearsReplies?: boolean;
  /**
   * Whether the engine looks for due sagas that no living engine runs, and warns of them. Default true;
   * false where the process looks with an `UnservedSagasWatch` of its own.
   */
  readonly looksForUnserved?: boolean;
  /** How long sagas that have ended, and idempotency keys, are kept. Default: `DEFAULT_RETENTION`. */
  readonly retention?: SagaRetention;
  /** Default: transactions of the store itself. */
  readonly stepTransactions?: StepTransactions;
  readonly logger: Logger;
  /** Default: the host's clock. */
  readonly clock?: Clock;
  /**
   * Where the engine tells what happens in it; metrics, traces and hooks subscribe to it. Default: one that
   * only writes the log lines about sagas that fail to `logger`.
   */
  readonly facts?: FactStream;
  readonly faults?: FaultPoints;
  /** 0 … 1, for the jitter of delays. Default `Math.random`. */
  readonly random?: () => number;
  /**
   * Runs a step's method with these fields in every log line of it, and in the trace that `traceparent`
   * and `tracestate` among them name. Default: just runs it.
   */
  readonly runInContext?: <T>(fields: LogFields, work: () => T) => T;
  readonly host?: string;
  readonly pid?: number;
  readonly settings?: Partial<EngineSettings>;
}
