import type { SagaDefinition } from '../../saga/index.js';
import type { SagaFacts } from '../facts/index.js';
import type { SagaState } from '../state/index.js';

/** A saga as it was started, claimed or loaded. */
export interface SagaSeed {
  readonly id: string;
  readonly tenant: string;
  readonly definition: SagaDefinition;
  readonly state: SagaState;
  readonly revision: number;
  /** The format of its row. */
  readonly format: number;
  readonly epoch: number;
  readonly deadlineAt: number | null;
  /** The bytes of its journal, see `entryBytes`. */
  readonly bytes: number;
}

/** What every fact about the saga says of it. */
export function factsOf({ id, definition, state }: SagaSeed): SagaFacts {
  return {
    sagaId: id,
    saga: definition.name,
    version: definition.version,
    createdAt: state.startedAt,
    traceparent: state.trace['traceparent'] ?? null,
  };
}
