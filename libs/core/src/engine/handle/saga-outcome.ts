import { recordMessage } from '../../errors/index.js';
import type { SagaStatus } from '../../ports/index.js';
import { taskText, type AttentionReason, type Failure } from '../journal/index.js';
import type { SagaState } from '../state/index.js';

/** Why a saga did not complete: the cause, and further failures beside it. */
export interface SagaFailure {
  readonly cause: Failure;
  readonly others: readonly Failure[];
}

/** How a saga ended, or that it needs a person. */
export type SagaOutcome<Output> =
  | { readonly status: 'completed'; readonly output: Output }
  | { readonly status: 'compensated'; readonly failure: SagaFailure }
  | { readonly status: 'partially_committed'; readonly failure: SagaFailure }
  | {
      readonly status: 'needs_attention';
      readonly reason: AttentionReason;
      readonly detail: string;
      readonly failure: SagaFailure | null;
    }
  | { readonly status: 'terminated'; readonly reason: string | null };

const NO_CAUSE: Failure = {
  kind: 'step',
  step: '',
  item: null,
  error: { name: 'Error', message: 'The journal names no cause.' },
};

function failureOf(state: SagaState): SagaFailure | null {
  const [cause, ...others] = state.failures;
  return cause === undefined ? null : { cause, others };
}

/** How a saga ended, or that it needs a person; null: neither. */
export function outcomeOf(state: SagaState): SagaOutcome<unknown> | null {
  if (state.phase === 'attention' && state.attention !== null) {
    return { status: 'needs_attention', ...state.attention, failure: failureOf(state) };
  }
  if (state.phase !== 'ended' || state.end === null) return null;
  const { status, output, reason } = state.end;
  switch (status) {
    case 'completed':
      return { status, output };
    case 'compensated':
    case 'partially_committed':
      return { status, failure: failureOf(state) ?? { cause: NO_CAUSE, others: [] } };
    case 'terminated':
      return { status, reason };
  }
}

/** Whether a caller that waits for a saga in this status is answered now. */
export function isSettled(status: SagaStatus): boolean {
  switch (status) {
    case 'completed':
    case 'compensated':
    case 'partially_committed':
    case 'needs_attention':
    case 'terminated':
      return true;
    case 'pending':
    case 'running':
    case 'waiting':
    case 'compensating':
      return false;
  }
}

/** The failure in one line, for a message. */
export function causeText(outcome: SagaOutcome<unknown>): string {
  switch (outcome.status) {
    case 'completed':
      return 'it completed.';
    case 'needs_attention':
      return outcome.detail;
    case 'terminated':
      return outcome.reason ?? 'an operator ended it.';
    case 'compensated':
    case 'partially_committed': {
      const { cause } = outcome.failure;
      switch (cause.kind) {
        case 'cancelled':
          return `it was cancelled${cause.reason === '' ? '' : `: ${cause.reason}`}.`;
        case 'deadline':
          return 'its deadline passed.';
        case 'step':
          return `${taskText({ ...cause, role: 'step' })} failed: ${recordMessage(cause.error)}`;
      }
    }
  }
}
