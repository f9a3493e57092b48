import { LockTimeoutError } from '../../errors/index.js';
import type { NewSaga, StartOutcome } from '../../ports/index.js';

/** What became of a start that has an answer. */
export type SettledStart = Extract<StartOutcome, { kind: 'started' | 'exists' }>;

/** The answer, or the error of a start that was refused or that somebody else's key kept waiting. */
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
