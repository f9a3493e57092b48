import type { SagaDefinition } from '../../saga/index.js';
import { stageOf, type SagaState } from '../state/index.js';

/**
 * Why a journal cannot be continued with this definition; null: it can. A renamed step would run
 * twice under two keys, and what it did under the old one would never be undone.
 */
export function definitionProblem(state: SagaState, definition: SagaDefinition): string | null {
  for (const [name, roles] of state.steps) {
    const step = definition.steps.get(name);
    if (step === undefined) {
      return `The journal knows a step '${name}', which ${definition.name} v${definition.version} does not have (any more).`;
    }
    if (stageOf(roles.compensation) !== 'not_begun' && step.compensation === null) {
      return `The compensation of '${name}' was begun, but '${name}' has none any more.`;
    }
    if (stageOf(roles.recovery) !== 'not_begun' && step.forwardRecovery === null) {
      return `The recovery of '${name}' was begun, but '${name}' has none any more.`;
    }
  }
  return null;
}
