import type { PublishOutcome, QueuedMessage } from '../../ports/index.js';
import { delayOf, type RetryPolicy } from '../../retry/index.js';
import type { RowOutcome, TakenRow } from '../slots/index.js';
import type { Untaken } from './refused-alone.js';

/** A message that is not taken while others are waits like one that was refused so many times. */
const LATER_LIKE = 6;

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
  readonly failed: (row: TakenRow, outcome: PublishOutcome['kind'], error: unknown) => void;
  /** Whose fault it is that the topic of a row took nothing. */
  readonly untaken: (row: TakenRow, alone: boolean) => Untaken;
  /** Nothing of the topic was taken so often that one message may be why: they are sent fewer at a time. */
  readonly divides: (topic: string) => boolean;
}

/** Topics the broker takes nothing for; `all`: nothing of the batch was taken at all. */
export interface Away {
  readonly topics: ReadonlySet<string>;
  readonly all: boolean;
  readonly error: unknown;
}

/**
 * Decides what an answered batch means for each of its messages, in order. Only what is certainly
 * about one message counts against it: its own rejection, a silence when it was sent alone, or that it
 * is not taken for long while others of its topic are. A
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
    const untaken =
      outcome.kind === 'unavailable' && !behind ? by.untaken(taken, rows.length === 1) : null;
    if (untaken === 'later' && rows.length > 1) {
      // Its topic takes others: whether it is this one shows when it is sent alone.
      waiting.add(taken.line);
      taken.batchLimit = 1;
      by.settle(taken, { kind: 'again' });
      return;
    }
    if (untaken === 'later' || untaken === 'counts') {
      waiting.add(taken.line);
      taken.batchLimit = 1;
      if (untaken === 'counts') by.failed(taken, outcome.kind, outcome.error);
      by.settle(
        taken,
        untaken === 'counts'
          ? verdict(taken.row, outcome.error, by)
          : {
              kind: 'retry',
              delayMs: delayOf(by.retry, LATER_LIKE),
              counts: false,
              error: outcome.error,
            },
      );
      return;
    }
    if (untaken === 'away') {
      const { topic } = taken.row.message;
      topics.add(topic);
      awayError = outcome.error;
      if (by.divides(topic)) taken.batchLimit = Math.min(taken.batchLimit, half);
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
