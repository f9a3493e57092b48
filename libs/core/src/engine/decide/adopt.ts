import type { ErrorRecord, TaskRef } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import { methodOf } from './task-result.js';

const CRASHED: ErrorRecord = {
  name: 'Crashed',
  message: 'The process that ran it died, again and again.',
};
/**
 * Delay before the next attempt of a task that was running when its process died; doubled each time. In
 * milliseconds.
 */
const CRASH_DELAY_MS = 1_000;
const LONGEST_CRASH_DELAY_MS = 60_000;

/**
 * Takes into account that this engine has loaded the saga, from an engine that died (`from`) or because
 * it owned the saga already. Tasks that the journal shows as running are not running: a task that
 * another incarnation had started has crashed, and one that this incarnation had started is given back.
 */
export function adopt(draft: Draft, from: string | null): void {
  const { context, state } = draft;
  // An ended saga is loaded to record an effect that came late. Tasks that were running when it ended
  // are not run again.
  if (state.phase === 'ended') return;
  const open: TaskRef[] = [];
  for (const [ref, { status }] of state.tasks) if (status === 'running') open.push(ref);
  if (from === null && open.length === 0) return;
  draft.add({ kind: 'adopted', by: context.incarnation, from, epoch: context.epoch });
  // Its last owner could not read its journal, but this engine can, so no person has to be asked.
  if (state.attention?.reason === 'journal_unreadable')
    draft.add({ kind: 'retry_requested', again: [] });
  for (const ref of open) crash(draft, ref, from);
}

function crash(draft: Draft, ref: TaskRef, from: string | null): void {
  const { context } = draft;
  const { attempt, by, crashes } = taskOf(draft.state, ref);
  const definition = context.definition.steps.get(ref.step);
  const method = definition === undefined ? null : methodOf(definition, ref.role);
  // The writes of a transactional attempt were rolled back, unless its transition is in the journal.
  const doubt = method?.transactional !== true;
  if (by === context.incarnation || from === null) {
    // This process started the task, or the saga was given back while the task ran (a person was
    // needed): that is no crash. The promise of the task may be unsettled, or may have settled while
    // the saga was being loaded, and then its result was lost. An undo too many harms nothing.
    draft.add({ kind: 'released', ...ref, attempt, doubt });
    return;
  }
  if (crashes + 1 >= context.definition.maxCrashes) {
    draft.add({ kind: 'unknown', ...ref, attempt, error: CRASHED });
    return;
  }
  const delayMs = Math.min(CRASH_DELAY_MS * 2 ** crashes, LONGEST_CRASH_DELAY_MS);
  draft.add({ kind: 'crashed', ...ref, attempt, delayMs, doubt });
}
