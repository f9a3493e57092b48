import type { PublishOutcome, QueuedMessage } from '../../ports/index.js';
import { delayOf, type RetryPolicy } from '../../retry/index.js';
import type { RowOutcome, TakenRow } from '../slots/index.js';

/** What judging a batch needs. */
export interface Judgement {
  readonly retry: RetryPolicy;
  /** `counts`: it was tried once more than the row says. */
  readonly bury: (
    row: QueuedMessage,
    reason: string,
    error: unknown,
    counts: boolean,
  ) => RowOutcome;
  readonly settle: (row: TakenRow, outcome: RowOutcome) => void;
  /** An attempt of this very message counts. */
  readonly failed: (row: TakenRow, outcome: 'rejected' | 'unknown', error: unknown) => void;
}

/** Topics the broker takes nothing for; `all`: nothing of the batch was taken at all. */
export interface Away {
  readonly topics: ReadonlySet<string>;
  readonly all: boolean;
  readonly error: unknown;
}

/**
 * Decides what an answered batch means for each of its messages, in order. Only what is certainly
 * about one message counts against it: its own rejection, or a silence when it was sent alone. A
 * batch that failed as a whole is cut in two, again and again, until the one that spoils it stands
 * alone; the innocent beside it lose nothing.
 */
export function judge(
  rows: readonly TakenRow[],
  outcomes: readonly PublishOutcome[],
  by: Judgement,
): Away | null {
  const whole = rows.length > 1 && outcomes.every(({ kind }) => isFailure(kind));
  const half = Math.ceil(rows.length / 2);
  const waiting = new Set<TakenRow['line']>();
  const topics = new Set<string>();
  let awayError: unknown;
  let notTaken = 0;
  rows.forEach((taken, at) => {
    const outcome = outcomes[at];
    if (outcome === undefined || outcome.kind === 'acknowledged') {
      by.settle(taken, { kind: 'complete' });
      return;
    }
    // Behind a message of its key that was not taken, an outcome says nothing about this one: not
    // that it is bad, and not that its topic takes nothing.
    const behind = waiting.has(taken.line);
    if (outcome.kind === 'unavailable' && !behind) {
      topics.add(taken.row.message.topic);
      awayError = outcome.error;
    }
    if (outcome.kind === 'unavailable' || behind) notTaken += 1;
    const judged = isFailure(outcome.kind) && !behind;
    waiting.add(taken.line);
    if (!judged || outcome.kind === 'unavailable') {
      by.settle(taken, { kind: 'again' });
    } else if (whole) {
      taken.batchLimit = Math.min(taken.batchLimit, half);
      by.settle(taken, { kind: 'again' });
    } else if (outcome.kind === 'unknown' && rows.length > 1) {
      taken.batchLimit = 1;
      by.settle(taken, { kind: 'again' });
    } else {
      by.failed(taken, outcome.kind, outcome.error);
      by.settle(taken, verdict(taken.row, outcome.error, by));
    }
  });
  if (topics.size === 0) return null;
  return { topics, all: notTaken === rows.length, error: awayError };
}

function isFailure(kind: PublishOutcome['kind']): boolean {
  return kind === 'rejected' || kind === 'unknown';
}

function verdict(row: QueuedMessage, error: unknown, by: Judgement): RowOutcome {
  const attempt = row.attempts + 1;
  if (attempt >= by.retry.attempts) return by.bury(row, 'attempts_exhausted', error, true);
  return { kind: 'retry', delayMs: delayOf(by.retry, attempt), counts: true, error };
}
