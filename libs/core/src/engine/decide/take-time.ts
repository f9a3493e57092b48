import type { ErrorRecord, TaskRef } from '../journal/index.js';
import { taskOf, type Wait } from '../state/index.js';
import type { Draft } from './decision.js';
import { whyNotHalted } from './progress.js';
import { failAttempt } from './task-result.js';
import { waitOverAt } from './wait-over.js';

/** Takes into account what is due by the store's clock: waits that are over, and the saga's deadline. */
export function takeTime(draft: Draft): void {
  const { context, state } = draft;
  if (state.phase === 'ended') return;
  for (const [ref, task] of [...state.tasks]) {
    const { wait } = task;
    if (wait !== null && waitOverAt(wait, context) <= context.now) WHEN_OVER[wait.kind](draft, ref);
  }
  const { deadlineAt, definition } = context;
  // A deadline counts also for a saga that fails already: the saga then stops waiting for its other
  // steps.
  if (deadlineAt === null || whyNotHalted(state, definition) !== null) return;
  if (deadlineAt <= context.now) draft.add({ kind: 'failing', failure: { kind: 'deadline' } });
  else draft.wakeBy(deadlineAt);
}

/** The decision for each kind of wait whose time is over without the event that it was for. */
const WHEN_OVER: Readonly<Record<Wait['kind'], (draft: Draft, ref: TaskRef) => void>> = {
  reply: replyMissing,
};

function replyMissing(draft: Draft, ref: TaskRef): void {
  const { role, step } = ref;
  const { attempt } = taskOf(draft.state, ref);
  const pivot = draft.context.definition.steps.get(step)?.pivot === true;
  const error: ErrorRecord = {
    name: 'ReplyTimeout',
    message: `No reply came to the command of '${step}' in time.`,
  };
  // The saga needs the outcome of a pivot, an undo or a recovery, so the same command is sent again.
  // Any other step becomes unknown and is undone.
  failAttempt(draft, ref, attempt, error, {
    doubt: true,
    final: role === 'step' && !pivot,
  });
}
