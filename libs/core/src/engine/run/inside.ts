import type { Clock, FaultPoints, LogFields, Logger, SagaStore } from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import type { EngineObserver } from '../engine-observer.js';
import type { EngineSettings } from '../engine-options.js';
import type { TransitionFlusher } from '../flush/index.js';
import type { SagaOutcome } from '../handle/index.js';
import type { Unrunnable } from '../left-alone.js';
import type { StepTransactions } from '../step-transactions.js';
import type { Alarms } from './alarms.js';
import type { Attempt } from './attempt.js';
import type { Attempts } from './attempts.js';
import type { ConnectionShortage } from './connection-shortage.js';
import type { Places } from './places.js';
import type { SagaRun } from './saga-run.js';

/** What the engine is to the sagas it runs. */
export interface Inside {
  readonly service: string;
  /** False: a command would wait for its reply in vain. */
  readonly hearsReplies: boolean;
  readonly incarnation: string;
  /** Since when it has been there without a gap, by the store's clock. */
  readonly backAt: number;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly faults: FaultPoints;
  readonly random: () => number;
  readonly sagas: SagaStore;
  readonly transactions: StepTransactions;
  readonly flusher: TransitionFlusher;
  readonly places: Places;
  readonly alarms: Alarms;
  readonly connections: ConnectionShortage;
  readonly draining: boolean;
  /** The store's clock, in milliseconds since 1970: its offset was measured, the rest is monotonic. */
  storeNow(): number;
  /** False while this engine cannot prove that it lives, or drains: then nothing is started. */
  mayStart(): boolean;
  resolve(definition: SagaDefinition): object;
  runInContext<T>(fields: LogFields, work: () => T): T;
  observe(tell: (observer: EngineObserver) => void): void;
  /** The promise of an attempt outlives the run it belongs to. */
  orphan(attempt: Attempt): void;
  /** Mail was put for a saga that may be nobody's: the store should be asked soon. */
  mailWaits(): void;
  /** Such a promise has settled, or was abandoned. */
  orphanMoved(attempt: Attempt): void;
  orphansOf(sagaId: string): Attempts;
  /** The run holds nothing any more: the saga was given back, has ended, or is somebody else's. */
  closed(run: SagaRun, why: ClosedBecause): void;
  /** Nothing can be decided from the saga's journal: it is parked without being read. */
  leaveAlone(saga: Unrunnable, error: unknown): void;
  /** The saga has come to an end, or needs a person. */
  ended(run: SagaRun, outcome: SagaOutcome<unknown>): void;
}

/**
 * - `given_back`: it waits with no owner, or has ended.
 * - `mail_waits`: given back while mail lies there; it is due again.
 * - `lost`: somebody else's now.
 * - `unreadable`: still this engine's, and left alone.
 * - `stale`: its memory does not fit the store any more; it has to be loaded again.
 */
export type ClosedBecause = 'given_back' | 'mail_waits' | 'lost' | 'unreadable' | 'stale';
