import type { Clock, FaultPoints, LogFields, Logger, SagaStore } from '../ports/index.js';
import type { RepeatedFailure } from '../retry/index.js';
import type { SagaDefinition } from '../saga/index.js';
import type { Gap } from './claim-loop.js';
import type { EngineSettings } from './engine-options.js';
import type { FactStream } from './facts/index.js';
import type { TransitionFlusher } from './flush/index.js';
import type { SagaOutcome } from './handle/index.js';
import type { StepTransactions } from './step-transactions.js';

export interface RunningSagasOptions {
  readonly service: string;
  readonly hearsReplies: boolean;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly faults: FaultPoints;
  readonly random: () => number;
  readonly sagas: SagaStore;
  readonly transactions: StepTransactions;
  readonly flusher: TransitionFlusher;
  readonly resolve: (definition: SagaDefinition) => object;
  readonly runInContext: <T>(fields: LogFields, work: () => T) => T;
  readonly facts: FactStream;
  /** Follows the reads of outputs that fail, for metrics and readiness. */
  readonly reading: RepeatedFailure;
  readonly definitionOf: (name: string, version: number) => SagaDefinition | undefined;
  readonly incarnation: () => string;
  readonly lives: () => boolean;
  readonly storeNow: () => number;
  readonly backAt: () => number;
  readonly onEnded: (id: string, outcome: SagaOutcome<unknown>) => void;
  /** Called when the store should be asked for work soon. */
  readonly onGap: (gap: Gap) => void;
}
