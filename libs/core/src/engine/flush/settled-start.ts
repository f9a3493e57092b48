import { LockTimeoutError } from '../../errors/index.js';
import type { NewSaga, StartOutcome } from '../../ports/index.js';

/** The outcome of a start that the store has answered. */
export type SettledStart = Extract<StartOutcome, { kind: 'started' | 'exists' }>;

/**
 * Returns the outcome of a start. Throws the error of one that was refused, or whose idempotency key
 * another transaction held for too long.
 */
export function settledStart(
  saga: NewSaga,
  outcome: StartOutcome | undefined,
  waitedMs: number,
): SettledStart {
  switch (outcome?.kind) {
    case 'started':
    case 'exists':
      return outcome;
    case 'busy':
      throw new LockTimeoutError(
        saga.key === null
          ? `id ${saga.id} of a new saga '${saga.name}'`
          : `idempotency key ${JSON.stringify(saga.key)} of saga '${saga.name}'`,
        waitedMs,
      );
    case 'rejected':
      throw outcome.error;
    case undefined:
      throw new TypeError('The store gave no outcome of a start.');
  }
}
