import { recordMessage } from '../../errors/index.js';
import { committedSteps, compensationOrder } from '../../saga/index.js';
import { stepTask } from '../journal/index.js';
import { stageOf, taskOf, type SagaState } from '../state/index.js';
import type { Draft } from './decision.js';
import { mayHaveEffect } from './progress.js';
import { startTask } from './start-task.js';
import { wakeWhenOver } from './wait-over.js';

/**
 * Undoes what was done, in reverse topological order, each step once everything that came after it,
 * directly or through steps that have no compensation, is undone.
 */
export function undo(draft: Draft): void {
  const { state, context } = draft;
  const { definition } = context;
  const names = [...definition.steps.keys()];
  const kept = committedSteps(
    definition,
    names.filter((name) => stageOf(taskOf(state, stepTask('step', name))) === 'succeeded'),
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
    const ref = stepTask('compensation', name);
    const task = taskOf(state, ref);
    if (step === undefined) continue;
    if (stageOf(task) !== 'succeeded') left = true;
    switch (task.status) {
      case 'done':
        break;
      case 'failed':
      case 'unknown':
        failed ??= `The compensation of '${name}' failed: ${task.error === null ? 'unknown' : recordMessage(task.error)}`;
        break;
      case 'running':
        busy = true;
        break;
      case 'waiting':
        busy = true;
        wakeWhenOver(draft, task);
        break;
      case 'idle':
      case 'backoff':
        // A compensation that waits for others does not count as busy: if one of those has given up,
        // nothing will run.
        if (![...before].every((one) => compensated(state, one))) break;
        busy = true;
        startTask(draft, ref, step);
        break;
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

function compensated(state: SagaState, step: string): boolean {
  return stageOf(taskOf(state, stepTask('compensation', step))) === 'succeeded';
}
