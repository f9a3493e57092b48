import type { SagaDefinition } from '../../saga/index.js';
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
  /** The bytes of its journal, see `dataBytes`. */
  readonly bytes: number;
}
