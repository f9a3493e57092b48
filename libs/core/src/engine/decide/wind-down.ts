import type { StepDefinition } from '../../saga/index.js';
import { stepTask, type ErrorRecord, type TaskRef } from '../journal/index.js';
import { stageOf, taskOf } from '../state/index.js';
import type { Draft } from './decision.js';
import { halted, pivotOpen } from './progress.js';
import { startTask } from './start-task.js';
import { wakeWhenOver } from './wait-over.js';

const GIVEN_UP: ErrorRecord = {
  name: 'GivenUp',
  message: 'It was given up because the saga failed elsewhere.',
};

/** Brings the siblings of a failed step to rest, as the failure strategy says. Nothing new begins. */
export function windDown(draft: Draft, steps: readonly StepDefinition[]): void {
  const { state, context } = draft;
  const { failureStrategy, graceMs } = context.definition;
  const graceOver = context.now >= state.failingSince + graceMs;
  // A saga that was cancelled or whose deadline is over does not wait, whatever its strategy says about
  // siblings.
  const patient =
    !halted(state) &&
    (failureStrategy === 'wait-all' || (failureStrategy === 'fail-fast-with-grace' && !graceOver));
  for (const step of steps) {
    restOne(draft, step, patient);
    const under = stageOf(taskOf(state, stepTask('step', step.name))) === 'under_way';
    if (under && patient && failureStrategy === 'fail-fast-with-grace') {
      draft.wakeBy(state.failingSince + graceMs);
    }
  }
}

/** Lets the step end, or gives it up. */
function restOne(draft: Draft, step: StepDefinition, patient: boolean): void {
  const { state, context } = draft;
  const { name } = step;
  const ref = stepTask('step', name);
  const task = taskOf(state, ref);
  const wait = patient || pivotOpen(state, step);
  switch (task.status) {
    case 'idle':
    case 'backoff':
      // A step that was given back while it ran counts as under way, unlike one that never began.
      if (stageOf(task) === 'not_begun') return;
      // Its promise may be unsettled although it timed out; a success of it is then reported as late.
      if (wait) startTask(draft, ref, step);
      else giveUp(draft, ref);
      return;
    case 'running':
      if (!wait && context.unsettled(ref)) draft.aborts.push(ref);
      return;
    case 'waiting': {
      if (wait) {
        wakeWhenOver(draft, task);
        return;
      }
      // The command that it sent may have had an effect. Its compensation finds out.
      const { attempt } = task;
      draft.add({ kind: 'unknown', ...ref, attempt, error: GIVEN_UP });
      return;
    }
    case 'done':
    case 'failed':
    case 'unknown':
      return;
  }
}

function giveUp(draft: Draft, ref: TaskRef): void {
  const task = taskOf(draft.state, ref);
  const error = task.error ?? GIVEN_UP;
  const { attempt, doubt } = task;
  if (doubt) draft.add({ kind: 'unknown', ...ref, attempt, error });
  else draft.add({ kind: 'failed', ...ref, attempt, error, doubt: false });
}
