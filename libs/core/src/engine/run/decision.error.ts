import { errorText } from '../../errors/index.js';
import type { SagaEvent } from '../decide/index.js';

/**
 * The decision about the next transition of a saga threw; its `events` were put back into the queue of
 * the saga.
 */
export class DecisionError extends Error {
  constructor(
    readonly events: readonly SagaEvent[],
    override readonly cause: unknown,
  ) {
    super(`The next transition of the saga could not be decided: ${errorText(cause)}`, { cause });
  }
}
