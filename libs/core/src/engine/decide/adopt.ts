import { ROLES, type ErrorRecord, type TaskRef } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import { methodOf } from './task-result.js';

const CRASHED: ErrorRecord = {
  name: 'Crashed',
  message: 'The process that ran it died, again and again.',
};
/** Delay before the second run of what killed a process; doubled each time. */
const CRASH_DELAY_MS = 1_000;
const LONGEST_CRASH_DELAY_MS = 60_000;

/**
 * The saga was taken over or found again. What the journal shows as running does not run: it crashed
 * where another incarnation had started it, and never began where it was this one.
 */
export function adopt(draft: Draft, from: string | null): void {
  const { context, state } = draft;
  // It was taken for an effect that came late; what ran when it ended is not run again.
  if (state.phase === 'ended') return;
  const open: TaskRef[] = [];
  for (const [step, roles] of state.steps) {
    for (const role of ROLES) if (roles[role].status === 'running') open.push({ role, step });
  }
  if (from === null && open.length === 0) return;
  draft.add({ kind: 'adopted', by: context.incarnation, from, epoch: context.epoch });
  // Its last owner could not read its journal, this one can: nobody has to be asked.
  if (state.attention?.reason === 'journal_unreadable')
    draft.add({ kind: 'retry_requested', again: [] });
  for (const ref of open) crash(draft, ref, from);
}

function crash(draft: Draft, { role, step }: TaskRef, from: string | null): void {
  const { context } = draft;
  const { attempt, by, crashes } = taskOf(draft.state, role, step);
  const definition = context.definition.steps.get(step);
  const method = definition === undefined ? null : methodOf(definition, role);
  // What a transaction did went down with it, unless its transition is in the journal.
  const doubt = method?.transactional !== true;
  if (by === context.incarnation || from === null) {
    // Journaled by this process, or given back while it ran (a person was needed): no crash. Its promise may be unsettled, or have settled while the
    // saga was being loaded anew, and then nobody took what it said. An undo too many harms nothing.
    draft.add({ kind: 'released', role, step, attempt, doubt });
    return;
  }
  if (crashes + 1 >= context.definition.maxCrashes) {
    draft.add({ kind: 'unknown', role, step, attempt, error: CRASHED });
    return;
  }
  const delayMs = Math.min(CRASH_DELAY_MS * 2 ** crashes, LONGEST_CRASH_DELAY_MS);
  draft.add({ kind: 'crashed', role, step, attempt, delayMs, doubt });
}
