import { copyOf } from '../../messaging/index.js';
import type { ArgumentValues, StepMethod } from '../../saga/index.js';
import { outputIn, stepTask, StoredOutput } from '../journal/index.js';
import { taskOf, type SagaState, type TaskState } from '../state/index.js';

/**
 * The outputs in the store that a method may read: those of the steps that its parameters name, and, if it takes
 * the context, which gives the result of any step at once, those of all steps that are done.
 */
export function outputsReadBy(method: StepMethod, state: SagaState): readonly StoredOutput[] {
  const any = method.arguments.some(({ kind }) => kind === 'context');
  const named = new Set(
    method.arguments.flatMap((source) => ('step' in source ? [source.step] : [])),
  );
  const found = new Set<StoredOutput>();
  for (const [{ role, step }, { output }] of state.tasks) {
    if (role === 'compensation' || !(output instanceof StoredOutput)) continue;
    if (any || named.has(step)) found.add(output);
  }
  return [...found];
}

/** The results of the steps so far. Each call of `get` returns a copy that belongs to the caller. */
export function resultsOf(
  state: () => SagaState,
  textOf: (output: StoredOutput) => string | undefined,
): ArgumentValues['results'] {
  const doneBy = (step: string): TaskState | null => {
    const forward = taskOf(state(), stepTask('step', step));
    const done = forward.status === 'done' ? forward : taskOf(state(), stepTask('recovery', step));
    if (done.status !== 'done') return null;
    // Another branch of the saga has completed meanwhile, and nobody waited for that.
    return done.output instanceof StoredOutput && textOf(done.output) === undefined ? null : done;
  };
  return {
    has: (step) => doneBy(step) !== null,
    get: (step) => {
      const output = doneBy(step)?.output;
      if (!(output instanceof StoredOutput)) return copyOf(output);
      const text = textOf(output);
      return text === undefined ? undefined : outputIn(text);
    },
  };
}
