import { methodOf, type PlannedStart } from '../decide/index.js';
import type { TaskRef } from '../journal/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import type { Permit } from './concurrency-permits.js';

/** The permit that a start needs. */
export function permitOf(definition: SagaDefinition, start: PlannedStart): Permit {
  return { transactional: isTransactional(definition, start), suspicion: start.suspicion };
}

/** Whether the task's writes commit together with its completion, so that it never succeeds late. */
export function isTransactional(
  definition: SagaDefinition,
  { role, step: name }: Pick<TaskRef, 'role' | 'step'>,
): boolean {
  const step = definition.steps.get(name);
  return step !== undefined && methodOf(step, role)?.transactional === true;
}
