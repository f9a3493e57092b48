import type { PublishOutcome, QueuedMessage } from '../../ports/index.js';
import { delayOf, type RetryPolicy } from '../../retry/index.js';
import type { RowOutcome, TakenRow } from '../slots/index.js';
import type { Untaken } from './refused-alone.js';

/**
 * A message that is not taken while others are waits as long as one that was refused this many times.
 */
const LATER_LIKE = 6;

/** The functions by which the outcomes of a batch are classified. */
export interface Judgement {
  readonly retry: RetryPolicy;
  /**
   * Makes the outcome of a message that is given up. `counts`: it was tried once more than its row
   * says.
   */
  readonly bury: (
    row: QueuedMessage,
    reason: string,
    error: unknown,
    counts: boolean,
  ) => RowOutcome;
  readonly settle: (row: TakenRow, outcome: RowOutcome) => void;
  /** Called when an attempt counts against this message. */
  readonly failed: (row: TakenRow, outcome: PublishOutcome['kind'], error: unknown) => void;
  /** Decides whether the message or its topic is at fault when the topic took nothing. */
  readonly untaken: (row: TakenRow, alone: boolean) => Untaken;
  /**
   * Whether fewer messages of the topic are sent at a time, because it has taken nothing so often that
   * one message may be the cause.
   */
  readonly divides: (topic: string) => boolean;
}

/** The topics for which the broker took nothing. `all`: it took no message of the batch. */
export interface Away {
  readonly topics: ReadonlySet<string>;
  readonly all: boolean;
  readonly error: unknown;
}

/**
 * Decides what an answered batch means for each of its messages, in order. Only an outcome that is
 * certainly about one message counts against it: its own rejection, no answer when it was sent alone,
 * or that it is not taken for long while others of its topic are. A batch that failed as a whole is
 * halved again and again until the message that spoils it is sent alone; no attempt is counted for the
 * others.
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
    if (outcome.kind === 'expired') {
      waiting.add(taken.line);
      by.settle(taken, { kind: 'again' });
      return;
    }
    // The outcome of a message behind one of its key that was not taken says nothing about the message
    // or its topic.
    const behind = waiting.has(taken.line);
    const untaken =
      outcome.kind === 'unavailable' && !behind ? by.untaken(taken, rows.length === 1) : null;
    if (untaken === 'later' && rows.length > 1) {
      // Its topic takes other messages. It is sent alone next, which shows whether this message is the
      // cause.
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
