import type { StepDefinition } from '../../saga/index.js';
import type { TaskRef } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { Draft, FreePermits, Suspicion } from './decision.js';
import { taskDueSince } from './due-since.js';
import { methodOf } from './task-result.js';

/**
 * Starts a task if it may start now: its delay is over, no earlier promise of it is unsettled here, and
 * a permit is free. It waits for a permit before the start is journaled, because a start in the journal
 * counts as a crash if the process dies.
 */
export function startTask(draft: Draft, ref: TaskRef, step: StepDefinition): void {
  const { context, state } = draft;
  const task = taskOf(state, ref);
  switch (task.status) {
    case 'idle':
      break;
    case 'backoff':
      if (task.dueAt <= context.now) break;
      draft.wakeBy(task.dueAt);
      return;
    case 'running':
    case 'waiting':
    case 'done':
    case 'failed':
    case 'unknown':
      return;
  }
  // Neither the next attempt nor an undo runs beside a promise that may still have its effect. That
  // attempt is reported at the latest when its time limit and grace are over, and the report leads to
  // the next decision.
  if (context.unsettled(ref)) return;
  if (ref.role !== 'step' && context.unsettled({ ...ref, role: 'step' })) return;
  if (!context.mayStart) {
    draft.startPostponed = true;
    return;
  }
  const postponedUntil = context.postponedUntil(ref);
  if (postponedUntil > context.now) {
    draft.startPostponed = true;
    draft.wakeBy(postponedUntil);
    return;
  }
  const { permits } = context;
  const method = methodOf(step, ref.role);
  if (method === null) return;
  const suspicion = suspicionOf(task.crashes, context.definition.maxCrashes);
  const short = shortOf(permits, method.transactional, suspicion);
  if (short !== null) {
    draft.startPostponed = true;
    draft.waitingFor.add(short);
    return;
  }
  permits.steps -= 1;
  if (method.transactional) permits.transactional -= 1;
  if (suspicion === 'group') {
    permits.suspects -= 1;
    permits.alone = 0;
  } else if (suspicion === 'alone') {
    permits.alone = 0;
    permits.suspects = 0;
  }
  const attempt = task.failures + 1;
  const dueSince = taskDueSince(state, context.definition, ref, step);
  draft.add({
    kind: 'started',
    ...ref,
    attempt,
    by: context.incarnation,
    epoch: context.epoch,
  });
  draft.starts.push({ ...ref, attempt, suspicion, dueSince });
}

/**
 * After one crash a step runs in a group of suspects, since dozens of steps may have been running in
 * that crash. A step that was running in a second crash, or whose next crash is the last that is
 * allowed, runs alone, so that no step is given up for what a neighbour did.
 */
function suspicionOf(crashes: number, maxCrashes: number): Suspicion {
  if (crashes === 0) return 'none';
  return crashes >= 2 || crashes + 1 >= maxCrashes ? 'alone' : 'group';
}

/**
 * The rarest kind of permit that the step needs and that is not free; null: all are free. A saga that
 * waits for the rarest kind keeps no other saga from the more common ones.
 */
function shortOf(
  permits: FreePermits,
  transactional: boolean,
  suspicion: Suspicion,
): keyof FreePermits | null {
  if (suspicion === 'alone' && permits.alone < 1) return 'alone';
  if (suspicion === 'group' && permits.suspects < 1) return 'suspects';
  if (transactional && permits.transactional < 1) return 'transactional';
  return permits.steps < 1 ? 'steps' : null;
}
