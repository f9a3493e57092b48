import type { InboxAttempts } from '../../ports/index.js';
import { HandlerCrashedError } from './errors.js';
import type { Spent } from './recent-retries.js';

/** How many crashes of the process make a message a dead letter, where its handler says nothing else. */
const MAX_CRASHES = 3;

/** Why a message may not be tried any more, by the notes of its earlier attempts; null: it may be. */
export function deathBefore(
  type: string,
  noted: InboxAttempts | null,
  most: { readonly attempts: number; readonly maxCrashes: number | undefined },
): Spent | null {
  if (noted === null) return null;
  if (noted.failures >= most.attempts) {
    const error = new Error(
      'Its attempts were used up in a process that died, or lost its database.',
    );
    return { reason: 'exhausted', failures: noted.failures, error };
  }
  if (noted.crashes < (most.maxCrashes ?? MAX_CRASHES)) return null;
  const error = new HandlerCrashedError(type, noted.crashes);
  return { reason: 'crashed', failures: noted.failures + noted.crashes, error };
}
