import { bytesOf, isLarge, type JournalEntry } from '../../ports/index.js';
import { StoredOutput, type SagaEntry } from '../journal/index.js';
import { taskOf } from '../state/index.js';
import type { EngineContext } from './engine-context.js';
import type { SagaRun } from './saga-run.js';

/**
 * Leaves the large outputs of a committed transition in the store: the state of the saga has their places from
 * now on. They are at hand for a while, since the next step often asks for them.
 */
export function leaveOutputs(
  { outputs }: EngineContext,
  { id, state }: SagaRun,
  revision: number,
  entries: readonly SagaEntry[],
  written: readonly JournalEntry[],
): void {
  for (const [ordinal, entry] of entries.entries()) {
    const { data = null, onDemand = false } = written[ordinal] ?? {};
    if (!onDemand || data === null || !isLarge(data) || !('role' in entry) || !('output' in entry))
      continue;
    const output = new StoredOutput(revision, ordinal, bytesOf(data));
    outputs.keep(id, output, data);
    const task = taskOf(state, entry);
    if (task.output === entry.output) state.tasks.set(entry, { ...task, output });
  }
}
