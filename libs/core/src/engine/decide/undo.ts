import { recordMessage } from '../../errors/index.js';
import { committedSteps, compensationOrder } from '../../saga/index.js';
import { taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import { mayHaveEffect } from './progress.js';
import { replyDueAt } from './reply-due.js';
import { startTask } from './start-task.js';

/**
 * Undoes what was done, in reverse topological order, each step once everything that came after it,
 * directly or through steps that have no compensation, is undone.
 */
export function undo(draft: Draft): void {
  const { state, around } = draft;
  const { definition } = around;
  const names = [...definition.steps.keys()];
  const kept = committedSteps(
    definition,
    names.filter((name) => taskOf(state, 'step', name).status === 'done'),
  );
  const order = compensationOrder(
    definition,
    names.filter((name) => !kept.has(name) && mayHaveEffect(state, name)),
  );
  let busy = false;
  let failed: string | null = null;
  let left = false;
  for (const [name, before] of order) {
    const step = definition.steps.get(name);
    const task = taskOf(state, 'compensation', name);
    if (step === undefined || task.status === 'done') continue;
    left = true;
    if (task.status === 'failed' || task.status === 'unknown') {
      failed ??= `The compensation of '${name}' failed: ${task.error === null ? 'unknown' : recordMessage(task.error)}`;
    } else if (task.status === 'running') {
      busy = true;
    } else if (task.status === 'awaiting_reply') {
      busy = true;
      draft.wakeBy(replyDueAt(task, draft.around));
    } else if ([...before].every((one) => taskOf(state, 'compensation', one).status === 'done')) {
      // Blocked ones are not counted as busy: when what blocks them has given up, nothing moves.
      busy = true;
      startTask(draft, 'compensation', step);
    }
  }
  if (!left) {
    const status = kept.size > 0 ? 'partially_committed' : 'compensated';
    draft.add({ kind: 'saga_ended', status, output: undefined, reason: null });
    return;
  }
  if (busy || failed === null) return;
  draft.add({ kind: 'needs_attention', reason: 'compensation_failed', detail: failed });
}
