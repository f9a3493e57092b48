import type { SagaDefinition } from '../../saga/index.js';
import { taskText, type AttentionReason, type TaskRef } from '../journal/index.js';
import { stageOf, type SagaState } from '../state/index.js';
import { failedRecovery, pivotInDoubt, whyNotHalted } from './progress.js';

/** The requests that an operator can make of a saga. */
export type OperatorRequest = 'cancel' | 'retry' | 'terminate';

/**
 * The answer to a request of an operator: what the saga will do, or why it will do nothing.
 * - `effect`: what it does once its engine reads the request, in words: `stops, and undoes what it
 *   did`. Events that reach the saga before that come first; its history shows what the request led to.
 * - `why`: why it does nothing; the request was not stored then.
 */
export type RequestAnswer =
  { readonly acts: true; readonly effect: string } | { readonly acts: false; readonly why: string };

/**
 * Answers a request for a saga in this state. The engine that owns the saga decides by this function,
 * and the caller who makes the request is answered by it beforehand. Without a definition, it is not
 * known whether a point of no return is passed.
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
    return acts('goes on where it stopped; tasks that had given up get their attempts anew');
  }
  const { again, restarts } = retried(state, definition);
  if (again.length + restarts.length > 0) {
    const named = [...again, ...restarts].map((ref) => `the ${taskText(ref)}`);
    return acts(`tries again at once: ${named.join(', ')}`);
  }
  return refused(
    'it does not need attention, and none of its tasks waits for another attempt; a task that is running or awaits a reply has a time limit of its own',
  );
}

/** The tasks that an operator's retry changes. */
export interface Retried {
  /** Tasks that get their attempts anew, at once. */
  readonly again: readonly TaskRef[];
  /** Running tasks that are asked to stop and to begin again: an undo or a recovery that hangs. */
  readonly restarts: readonly TaskRef[];
}

/**
 * Finds the tasks that a retry concerns. If the saga needs attention, these are the tasks that gave up
 * and may be done again; otherwise those that wait for their next attempt. A running undo or recovery
 * begins again, since it is safe to call twice and nothing else would ever end one that hangs and has
 * no time limit. A running step is left alone, because it need not be safe to stop.
 */
export function retried(state: SagaState, definition: SagaDefinition | undefined): Retried {
  const again: TaskRef[] = [];
  const restarts: TaskRef[] = [];
  const parked = state.phase === 'attention';
  for (const [ref, { status }] of state.tasks) {
    const { role, step } = ref;
    const pivot = definition?.steps.get(step)?.pivot === true;
    switch (status) {
      case 'backoff':
        if (!parked) again.push(ref);
        break;
      case 'running':
        if (!parked && role !== 'step') restarts.push(ref);
        break;
      case 'failed':
      case 'unknown':
        if (!parked) break;
        if (role !== 'step' || (pivot && status === 'unknown')) again.push(ref);
        break;
      case 'idle':
      case 'waiting':
      case 'done':
        break;
    }
  }
  return { again, restarts };
}

/**
 * Whether the question that a person was asked is still open. Events may settle it: a late reply for a
 * pivot in doubt, or an undo that was carried out after all.
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
      return [...state.tasks].some(
        ([{ role }, task]) => role === 'compensation' && stageOf(task) === 'gave_up',
      );
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
