import type { DeadLetterOutcome, InboxKey } from '@sagaz/core';

/** Names a dead letter. */
export type DeadLetterRef =
  | { readonly side: 'outbox'; readonly connection: string; readonly id: string }
  | { readonly side: 'inbox'; readonly connection: string; readonly key: InboxKey };

/**
 * Why a dead letter was left as it is:
 * - `busy`: it was replayed and has not been handled yet, or another transaction has locked it. Call again later.
 * - `ended`: its message has been handled, or it was discarded before.
 * - `unknown`: there is no such dead letter. In the outbox this includes one that was replayed or
 *   discarded before.
 */
export type DeadLetterLeftReason = Exclude<DeadLetterOutcome, 'done'>;

/** A dead letter that a call left as it is. */
export interface DeadLetterLeft {
  readonly ref: DeadLetterRef;
  readonly reason: DeadLetterLeftReason;
  /** The reason as a sentence for people. */
  readonly explanation: string;
}

/** The results of a call for its dead letters. Each of them is in one of the lists, in the order given. */
export interface DeadLetterReport {
  /** The dead letters that were replayed, or discarded. */
  readonly done: readonly DeadLetterRef[];
  readonly left: readonly DeadLetterLeft[];
}

/** Sorts the dead letters of a call by their outcomes. */
export function reportOf(
  refs: readonly DeadLetterRef[],
  outcomes: ReadonlyMap<DeadLetterRef, DeadLetterOutcome>,
): DeadLetterReport {
  const done: DeadLetterRef[] = [];
  const left: DeadLetterLeft[] = [];
  for (const ref of refs) {
    const outcome = outcomes.get(ref) ?? 'unknown';
    if (outcome === 'done') done.push(ref);
    else left.push({ ref, reason: outcome, explanation: explanationOf(ref, outcome) });
  }
  return { done, left };
}

function explanationOf({ side }: DeadLetterRef, reason: DeadLetterLeftReason): string {
  switch (reason) {
    case 'busy':
      return side === 'outbox'
        ? 'Another transaction has locked it. Try again when that transaction has ended.'
        : 'It was replayed and has not been handled yet, or another transaction has locked it. Try again later.';
    case 'ended':
      return 'Its message has been handled, or it was discarded before.';
    case 'unknown':
      return side === 'outbox'
        ? 'The outbox has no dead letter of this id: it was replayed or discarded before, or never there.'
        : 'The inbox has no dead letter of this key, and knows nothing of its message.';
  }
}
