import type {
  Clock,
  FaultPoints,
  JournalEntry,
  LogFields,
  Logger,
  SagaStore,
} from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import type { EngineSettings } from '../engine-options.js';
import type { FactStream } from '../facts/index.js';
import type { TransitionFlusher } from '../flush/index.js';
import type { SagaOutcome } from '../handle/index.js';
import type { UnreadableSaga } from '../unreadable-sagas.js';
import type { StepTransactions } from '../step-transactions.js';
import type { Timers } from './timers.js';
import type { Attempt } from './attempt.js';
import type { Attempts } from './attempts.js';
import type { ConnectionShortage } from './connection-shortage.js';
import type { ConcurrencyPermits } from './concurrency-permits.js';
import type { SagaRun } from './saga-run.js';
import type { StepRefusals } from './step-refusals.js';
import type { StoredOutputs } from './stored-outputs.js';

/** The services and settings that the engine offers to the sagas it runs. */
export interface EngineContext {
  readonly service: string;
  /** Whether replies can reach this process. False: a command would wait for its reply in vain. */
  readonly hearsReplies: boolean;
  readonly incarnation: string;
  /**
   * Since when this engine has held its lease without a gap, by the store's clock, in milliseconds
   * since 1970.
   */
  readonly backAt: number;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly facts: FactStream;
  readonly faults: FaultPoints;
  readonly random: () => number;
  readonly sagas: SagaStore;
  readonly transactions: StepTransactions;
  readonly flusher: TransitionFlusher;
  readonly permits: ConcurrencyPermits;
  readonly timers: Timers;
  readonly connections: ConnectionShortage;
  readonly refusals: StepRefusals;
  readonly outputs: StoredOutputs;
  readonly draining: boolean;
  /** The store's clock, in milliseconds since 1970: its offset was measured, the rest is monotonic. */
  storeNow(): number;
  /**
   * Whether steps may be started. False while the engine drains or cannot prove that its lease is
   * valid.
   */
  mayStart(): boolean;
  resolve(definition: SagaDefinition): object;
  runInContext<T>(fields: LogFields, work: () => T): T;
  /** Keeps an attempt whose promise has not settled although its run is closed. */
  orphan(attempt: Attempt): void;
  /** Mail was stored for a saga that may have no owner, so the store should be asked for work soon. */
  mailWaits(): void;
  /** An attempt that {@link orphan} keeps has settled, or was abandoned. */
  orphanMoved(attempt: Attempt): void;
  orphansOf(sagaId: string): Attempts;
  /** The journal of a run has grown by these entries, and its state in memory with it. */
  grew(run: SagaRun, entries: readonly JournalEntry[]): void;
  /** The run is closed and keeps nothing: the saga was given back, has ended, or has another owner. */
  closed(run: SagaRun, why: ClosedBecause): void;
  /** Parks a saga from whose journal nothing can be decided, without reading the journal again. */
  quarantine(saga: UnreadableSaga, error: unknown): void;
  /** The saga has come to an end, or needs a person. */
  ended(run: SagaRun, outcome: SagaOutcome<unknown>): void;
}

/**
 * - `given_back`: the saga waits with no owner, or has ended.
 * - `mail_waits`: the saga was given back while unread mail was stored for it, so it is due again.
 * - `lost`: another engine owns the saga, or it does not exist any more.
 * - `unreadable`: this engine still owns the saga, but cannot read its journal and does not run it.
 * - `stale`: the state in memory does not match the store any more, so the saga has to be loaded again.
 */
export type ClosedBecause = 'given_back' | 'mail_waits' | 'lost' | 'unreadable' | 'stale';
