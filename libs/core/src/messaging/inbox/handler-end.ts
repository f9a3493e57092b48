import type { Delivery } from '../../ports/index.js';
import type { BurialReason, InboxOutcome } from './inbox.types.js';

/** Tells who wants to know whether the handler works. */
export function tellTrial({ trial }: Delivery, outcome: InboxOutcome): void {
  if (trial === undefined) return;
  const how = handlerEnd(outcome);
  if (how !== null) trial.ended(how);
}

/** What an outcome says about the handler: it did its work, or failed; null: it was not reached. */
function handlerEnd(outcome: InboxOutcome): 'worked' | 'failed' | null {
  switch (outcome.kind) {
    case 'committed':
    case 'refused':
      return 'worked';
    case 'retry':
      return outcome.counted || outcome.trial === true ? 'failed' : null;
    case 'buried':
      return endOfBurial(outcome.reason);
    case 'duplicate':
    case 'repeated':
    case 'late':
    case 'expired':
    case 'landed':
      return null;
  }
}

function endOfBurial(reason: BurialReason): 'failed' | null {
  switch (reason) {
    case 'exhausted':
    case 'final':
    case 'rejected':
    case 'crashed':
      return 'failed';
    case 'malformed':
    case 'unsigned':
    case 'bad_signature':
      return null;
  }
}
