import type { AttemptResult, WaitRequest } from '../decide/index.js';
import type { AttemptOutcome } from '../facts/index.js';

/** Why an attempt is told to stop. `restarted`: it begins again, and no attempt is counted. */
export type AbortReason = 'timeout' | 'given_up' | 'shutdown' | 'restarted';

const REQUESTED: Readonly<Record<WaitRequest['kind'], AttemptOutcome>> = { reply: 'command_sent' };

/** How an attempt ended that came to this result; `aborted`: why it had been told to stop, null: it was not. */
export function outcomeOf(result: AttemptResult, aborted: AbortReason | null): AttemptOutcome {
  switch (result.kind) {
    case 'completed':
      return 'completed';
    case 'waits':
      return REQUESTED[result.request.kind];
    case 'failed':
    case 'released':
      // An attempt that gives its permit back was not at fault.
      if (aborted === null) return result.kind === 'failed' ? 'failed' : 'aborted';
      return aborted === 'timeout' ? 'timed_out' : 'aborted';
  }
}
