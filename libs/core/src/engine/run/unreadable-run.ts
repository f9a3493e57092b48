import type { Mail } from '../../ports/index.js';
import type { UnreadableSaga } from '../unreadable-sagas.js';
import type { SagaRun } from './saga-run.js';

/** The facts of a saga in this process from whose journal nothing can be decided. */
export function unreadableRun(
  { id, epoch, definition, state }: SagaRun,
  revision: number,
  mail: readonly Mail[],
): UnreadableSaga {
  const { name, version } = definition;
  const { startedAt } = state;
  return { id, name, version, epoch, revision, mail, startedAt, parked: false };
}
