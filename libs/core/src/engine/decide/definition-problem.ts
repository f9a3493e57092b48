import type { SagaDefinition } from '../../saga/index.js';
import { stageOf, type SagaState } from '../state/index.js';
import { methodOf } from './task-result.js';

/**
 * Why a journal cannot be continued with this definition; null: it can. A renamed step would run
 * twice under two keys, and what it did under the old one would never be undone.
 */
export function definitionProblem(state: SagaState, definition: SagaDefinition): string | null {
  for (const [{ role, step: name }, task] of state.tasks) {
    const step = definition.steps.get(name);
    if (step === undefined) {
      return `The journal knows a step '${name}', which ${definition.name} v${definition.version} does not have (any more).`;
    }
    if (stageOf(task) !== 'not_begun' && methodOf(step, role) === null) {
      return `The ${role} of '${name}' was begun, but '${name}' has none any more.`;
    }
  }
  return null;
}
