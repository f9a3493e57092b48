import type { FinalStatus } from '../../ports/index.js';
import type {
  AttentionReason,
  ErrorRecord,
  Failure,
  Role,
  TraceHeaders,
} from '../journal/index.js';

export type TaskStatus =
  /** It may be started once the steps it depends on are done. */
  | 'idle'
  | 'running'
  | 'awaiting_reply'
  /** It is tried again when its delay is over. */
  | 'backoff'
  | 'done'
  | 'failed'
  | 'unknown';

/** The state of one role of a step. The object is replaced, never changed in place. */
export interface TaskState {
  readonly status: TaskStatus;
  /** The latest attempt, from 1; 0: none yet. */
  readonly attempt: number;
  /** Attempts that failed and count against the retry policy. */
  readonly failures: number;
  /** How many processes have died while it ran, since its last progress. */
  readonly crashes: number;
  /** An attempt may have had its effect although none is known to have succeeded. */
  readonly doubt: boolean;
  readonly by: string | null;
  readonly epoch: number;
  readonly output: unknown;
  readonly error: ErrorRecord | null;
  /** When the delay or the wait for the reply is over, by the store's clock in milliseconds. */
  readonly dueAt: number;
  /** When the command that is awaited was sent. */
  readonly sentAt: number;
  /** The idempotency key of the command that was sent last; null: none, or it is done. */
  readonly key: string | null;
  /** The message of that command. */
  readonly commandId: string | null;
  /** The messages of all commands that were sent with this key: a success answers any of them. */
  readonly commandIds: readonly string[];
  /** The service that alone may answer them; null: the contract names none. */
  readonly handledBy: string | null;
  /** The reply that ended the previous attempt. If it is delivered again, it is ignored. */
  readonly lastReply: string | null;
}

export type StepState = Readonly<Record<Role, TaskState>>;

export type Phase = 'forward' | 'undoing' | 'attention' | 'ended';

/** The state of a saga, computed from its journal. */
export interface SagaState {
  /** By the store's clock, in milliseconds since 1970. */
  startedAt: number;
  input: unknown;
  /** The trace it belongs to; empty: none. */
  trace: TraceHeaders;
  phase: Phase;
  /** The phase to which an operator's retry returns. */
  resume: 'forward' | 'undoing';
  readonly steps: Map<string, StepState>;
  failures: readonly Failure[];
  /** When the first failure was recorded, by the store's clock in milliseconds. */
  failingSince: number;
  attention: { readonly reason: AttentionReason; readonly detail: string } | null;
  end: {
    readonly status: FinalStatus;
    readonly output: unknown;
    readonly reason: string | null;
  } | null;
}

const FRESH: TaskState = Object.freeze({
  status: 'idle',
  attempt: 0,
  failures: 0,
  crashes: 0,
  doubt: false,
  by: null,
  epoch: 0,
  output: undefined,
  error: null,
  dueAt: 0,
  sentAt: 0,
  key: null,
  commandId: null,
  commandIds: Object.freeze([]),
  handledBy: null,
  lastReply: null,
});

const FRESH_STEP: StepState = Object.freeze({ step: FRESH, compensation: FRESH, recovery: FRESH });

export function emptyState(): SagaState {
  return {
    startedAt: 0,
    input: undefined,
    trace: {},
    phase: 'forward',
    resume: 'forward',
    steps: new Map(),
    failures: [],
    failingSince: 0,
    attention: null,
    end: null,
  };
}

/** A copy that can be folded further while the original stays as the journal has it. */
export function forkState(state: SagaState): SagaState {
  return { ...state, steps: new Map(state.steps) };
}

export function stepOf(state: SagaState, step: string): StepState {
  return state.steps.get(step) ?? FRESH_STEP;
}

export function taskOf(state: SagaState, role: Role, step: string): TaskState {
  return stepOf(state, step)[role];
}

export function setTask(
  state: SagaState,
  role: Role,
  step: string,
  change: Partial<TaskState>,
): void {
  const before = stepOf(state, step);
  const task = changed(before[role], change);
  state.steps.set(step, {
    step: role === 'step' ? task : before.step,
    compensation: role === 'compensation' ? task : before.compensation,
    recovery: role === 'recovery' ? task : before.recovery,
  });
}

/**
 * A copy with a change. It names every field, because two spreads take ten times as long, and each entry of
 * a journal makes a copy.
 */
function changed(before: TaskState, change: Partial<TaskState>): TaskState {
  const {
    status = before.status,
    attempt = before.attempt,
    failures = before.failures,
    crashes = before.crashes,
    doubt = before.doubt,
    by = before.by,
    epoch = before.epoch,
    error = before.error,
    dueAt = before.dueAt,
    sentAt = before.sentAt,
    key = before.key,
    commandId = before.commandId,
    commandIds = before.commandIds,
    handledBy = before.handledBy,
    lastReply = before.lastReply,
  } = change;
  return {
    status,
    attempt,
    failures,
    crashes,
    doubt,
    by,
    epoch,
    // The one field that may be changed to undefined.
    output: 'output' in change ? change.output : before.output,
    error,
    dueAt,
    sentAt,
    key,
    commandId,
    commandIds,
    handledBy,
    lastReply,
  };
}
