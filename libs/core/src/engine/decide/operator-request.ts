import type { SagaDefinition } from '../../saga/index.js';
import { ROLES, type AttentionReason, type TaskRef } from '../journal/index.js';
import { stageOf, type SagaState } from '../state/index.js';
import { failedRecovery, pivotInDoubt, whyNotHalted } from './progress.js';

/** What an operator may ask of a saga. */
export type OperatorRequest = 'cancel' | 'retry' | 'terminate';

/**
 * What a saga does about a request of an operator, or why it does nothing.
 * - `effect`: what it does once its engine reads the request, in words: `stops, and undoes what it did`.
 *   What happens to it in between comes first; its history tells how the request was taken.
 * - `why`: why it does nothing; the request was not put then.
 */
export type RequestAnswer =
  { readonly acts: true; readonly effect: string } | { readonly acts: false; readonly why: string };

/**
 * What a saga in this state does about a request. The owner of the saga decides by it, and whoever asks
 * is answered by it beforehand. Without a definition, a point of no return is not known.
 */
export function answerTo(
  request: OperatorRequest,
  state: SagaState,
  definition: SagaDefinition | undefined,
): RequestAnswer {
  if (state.phase === 'ended') return refused('the saga has ended');
  switch (request) {
    case 'terminate':
      return acts('ends as it is; nothing is undone');
    case 'cancel':
      return toCancel(state, definition);
    case 'retry':
      return toRetry(state, definition);
  }
}

function toCancel(state: SagaState, definition: SagaDefinition | undefined): RequestAnswer {
  const reason = state.phase === 'attention' ? state.attention?.reason : undefined;
  if (reason === 'recovery_failed') {
    return acts('gives its failed recoveries up, and undoes what its point of no return leaves');
  }
  const why = definition === undefined ? null : whyNotHalted(state, definition);
  return why === null ? acts('stops, and undoes what it did') : refused(why);
}

function toRetry(state: SagaState, definition: SagaDefinition | undefined): RequestAnswer {
  if (state.phase === 'attention') {
    return acts('goes on where it stopped; what gave up gets its attempts anew');
  }
  const { again, restarts } = retried(state, definition);
  if (again.length + restarts.length > 0) {
    const named = [...again, ...restarts].map(({ role, step }) => `the ${role} '${step}'`);
    return acts(`tries again at once: ${named.join(', ')}`);
  }
  return refused(
    'it does not need attention, and nothing of it waits for another attempt; what runs or awaits a reply has a time limit of its own',
  );
}

/** What an operator's retry changes. */
export interface Retried {
  /** Get their attempts anew, at once. */
  readonly again: readonly TaskRef[];
  /** Run, and are asked to stop and to begin again: an undo or a recovery that hangs. */
  readonly restarts: readonly TaskRef[];
}

/**
 * The tasks that a retry concerns. In attention: what gave up and may be done again. Before: what waits
 * for its next attempt. An undo or a recovery that runs begins again, since it may be called twice and
 * nothing else would ever end one that hangs and has no time limit; a step that runs is left alone.
 */
export function retried(state: SagaState, definition: SagaDefinition | undefined): Retried {
  const again: TaskRef[] = [];
  const restarts: TaskRef[] = [];
  const parked = state.phase === 'attention';
  for (const [step, roles] of state.steps) {
    const pivot = definition?.steps.get(step)?.pivot === true;
    for (const role of ROLES) {
      const { status } = roles[role];
      switch (status) {
        case 'backoff':
          if (!parked) again.push({ role, step });
          break;
        case 'running':
          if (!parked && role !== 'step') restarts.push({ role, step });
          break;
        case 'failed':
        case 'unknown':
          if (!parked) break;
          if (role !== 'step' || (pivot && status === 'unknown')) again.push({ role, step });
          break;
        case 'idle':
        case 'awaiting_reply':
        case 'done':
          break;
      }
    }
  }
  return { again, restarts };
}

/**
 * Whether what a person is asked for is still open. News may settle it: a pivot in doubt whose answer
 * comes late, an undo that was carried out after all.
 */
export function stillNeedsPerson(
  reason: AttentionReason,
  state: SagaState,
  definition: SagaDefinition,
): boolean {
  switch (reason) {
    case 'pivot_unknown':
      return pivotInDoubt(state, definition) !== undefined;
    case 'recovery_failed':
      return failedRecovery(state, definition) !== undefined;
    case 'compensation_failed':
      return [...state.steps.values()].some((roles) => stageOf(roles.compensation) === 'gave_up');
    case 'definition_changed':
    case 'late_effect':
    case 'journal_refused':
    case 'journal_unreadable':
      return true;
  }
}

function acts(effect: string): RequestAnswer {
  return { acts: true, effect };
}

function refused(why: string): RequestAnswer {
  return { acts: false, why };
}
