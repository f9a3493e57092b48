import type { StepDefinition } from '../../saga/index.js';
import type { Role } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { Draft, Room, Suspicion } from './decision.js';
import { methodOf } from './task-result.js';

/**
 * Starts a task if it may start now: its delay is over, no earlier promise of it is unsettled here,
 * and there is a free place, since a start in the journal counts as a crash if the process dies.
 */
export function startTask(draft: Draft, role: Role, step: StepDefinition): void {
  const { around, state } = draft;
  const task = taskOf(state, role, step.name);
  switch (task.status) {
    case 'idle':
      break;
    case 'backoff':
      if (task.dueAt <= around.now) break;
      draft.wakeBy(task.dueAt);
      return;
    case 'running':
    case 'awaiting_reply':
    case 'done':
    case 'failed':
    case 'unknown':
      return;
  }
  // Neither the next attempt nor an undo runs beside a promise that may still have its effect. The
  // runner reports at the latest after its bound, which makes this be asked again.
  if (around.unsettled(role, step.name)) return;
  if (role !== 'step' && around.unsettled('step', step.name)) return;
  if (!around.mayStart) {
    draft.starved = true;
    return;
  }
  const { room } = around;
  const method = methodOf(step, role);
  if (method === null) return;
  const suspicion = suspicionOf(task.crashes, around.definition.maxCrashes);
  const short = shortOf(room, method.transactional, suspicion);
  if (short !== null) {
    draft.starved = true;
    draft.lacks.add(short);
    return;
  }
  room.steps -= 1;
  if (method.transactional) room.transactional -= 1;
  if (suspicion === 'group') {
    room.suspects -= 1;
    room.alone = 0;
  } else if (suspicion === 'alone') {
    room.alone = 0;
    room.suspects = 0;
  }
  const attempt = task.failures + 1;
  const generation = taskOf(state, 'step', step.name).generation;
  draft.add({
    kind: 'started',
    role,
    step: step.name,
    attempt,
    by: around.incarnation,
    epoch: around.epoch,
    generation,
  });
  draft.starts.push({ role, step: step.name, attempt, generation, suspicion });
}

/**
 * One death makes nobody suspect enough to run alone: dozens of steps may have been running. Of those
 * that were there again, and of those whose next crash is the last that is allowed, each runs alone,
 * so that nobody is given up for what a neighbour did.
 */
function suspicionOf(crashes: number, maxCrashes: number): Suspicion {
  if (crashes === 0) return 'none';
  return crashes >= 2 || crashes + 1 >= maxCrashes ? 'alone' : 'group';
}

/** The rarest kind of place it needs and cannot have: whoever waits for that is in nobody else's way. */
function shortOf(room: Room, transactional: boolean, suspicion: Suspicion): keyof Room | null {
  if (suspicion === 'alone' && room.alone < 1) return 'alone';
  if (suspicion === 'group' && room.suspects < 1) return 'suspects';
  if (transactional && room.transactional < 1) return 'transactional';
  return room.steps < 1 ? 'steps' : null;
}
