import { errorText } from '../../errors/index.js';
import type { CompletionPump } from './completion-pump.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { SlotSettings } from './settings.js';
import type { SlotWork } from './slot-work.js';
import type { StoreTroubles } from './store-troubles.js';

/** The problem of a consumer and its remedy, for readiness; null while it works. */
export function consumerProblem(of: {
  readonly name: string;
  readonly settings: SlotSettings;
  readonly completions: CompletionPump;
  readonly leases: LeaseKeeper;
  readonly work: SlotWork;
  readonly troubles: StoreTroubles;
}): string | null {
  const { name, settings, completions, leases, work, troubles } = of;
  if (completions.failures >= settings.maxFailedCompletions) {
    return `${name} cannot remove what is done and reads next to nothing: ${errorText(completions.lastError)}`;
  }
  if (leases.stalled) {
    return `${name} has shown no progress for ${settings.stallAfterMs} ms and has given up its slots.`;
  }
  const problem = work.problem();
  if (problem !== null) return problem;
  const error = leases.error ?? troubles.current?.error;
  if (error !== null && error !== undefined) {
    return `${name} cannot reach its store: ${errorText(error)}`;
  }
  return null;
}
