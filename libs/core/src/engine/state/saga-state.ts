import type { FinalStatus } from '../../ports/index.js';
import {
  TaskMap,
  type AttentionReason,
  type ErrorRecord,
  type Failure,
  type TaskRef,
  type TraceHeaders,
} from '../journal/index.js';

export type TaskStatus =
  /** It may be started once the steps it depends on are done. */
  | 'idle'
  | 'running'
  /** An attempt of it has ended and asked for something that it waits for. */
  | 'waiting'
  /** It is tried again when its delay is over. */
  | 'backoff'
  | 'done'
  | 'failed'
  | 'unknown';

/** The wait of a task: the kind of event that wakes it, since when, and until when. */
export type Wait =
  /** The reply to the command that the task sent. */
  { readonly kind: 'reply'; readonly since: number; readonly until: number };

/** The command that a task has sent. */
export interface SentCommand {
  /** Its idempotency key. */
  readonly key: string;
  /** Its message. */
  readonly id: string;
  /** The messages of all commands that were sent with this key: a success answers any of them. */
  readonly ids: readonly string[];
  /** The service that alone may answer them; null: the contract names none. */
  readonly handledBy: string | null;
}

/** The state of a task. The object is replaced, never changed in place. */
export interface TaskState {
  readonly status: TaskStatus;
  /** Since when it has this status, by the store's clock in milliseconds; 0: from the beginning. */
  readonly since: number;
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
  /** When the delay before the next attempt is over, by the store's clock in milliseconds. */
  readonly dueAt: number;
  /** Its wait, with times by the store's clock in milliseconds; null: its status is not `waiting`. */
  readonly wait: Wait | null;
  /** The command that was sent last; null: none, or the task is done. */
  readonly command: SentCommand | null;
  /** The reply that ended the previous attempt. If it is delivered again, it is ignored. */
  readonly lastReply: string | null;
}

export type Phase = 'forward' | 'undoing' | 'attention' | 'ended';

/** The state of a saga, computed from its journal. */
export interface SagaState {
  /** The lowest format of the engines that can read its journal. */
  format: number;
  /** By the store's clock, in milliseconds since 1970. */
  startedAt: number;
  input: unknown;
  /** The trace it belongs to; empty: none. */
  trace: TraceHeaders;
  phase: Phase;
  /**
   * When it began to go forward or to undo, or last went on after a person was needed, by the store's clock in
   * milliseconds.
   */
  directionSince: number;
  /** The phase to which an operator's retry returns. */
  resume: 'forward' | 'undoing';
  /** The tasks of which the journal has an entry. */
  readonly tasks: TaskMap<TaskState>;
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
  since: 0,
  attempt: 0,
  failures: 0,
  crashes: 0,
  doubt: false,
  by: null,
  epoch: 0,
  output: undefined,
  error: null,
  dueAt: 0,
  wait: null,
  command: null,
  lastReply: null,
});

export function emptyState(): SagaState {
  return {
    format: 1,
    startedAt: 0,
    input: undefined,
    trace: {},
    phase: 'forward',
    directionSince: 0,
    resume: 'forward',
    tasks: new TaskMap(),
    failures: [],
    failingSince: 0,
    attention: null,
    end: null,
  };
}

/** A copy that can be folded further while the original stays as the journal has it. */
export function forkState(state: SagaState): SagaState {
  return { ...state, tasks: new TaskMap(state.tasks) };
}

export function taskOf(state: SagaState, ref: TaskRef): TaskState {
  return state.tasks.get(ref) ?? FRESH;
}

/** Changes the state of a task. `at`: when, by the store's clock in milliseconds. */
export function setTask(
  state: SagaState,
  ref: TaskRef,
  at: number,
  change: Partial<Omit<TaskState, 'since'>>,
): void {
  state.tasks.set(ref, changed(taskOf(state, ref), at, change));
}

/**
 * A copy with a change. It names every field, because two spreads take ten times as long, and each entry of
 * a journal makes a copy.
 */
function changed(
  before: TaskState,
  at: number,
  change: Partial<Omit<TaskState, 'since'>>,
): TaskState {
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
    wait = before.wait,
    command = before.command,
    lastReply = before.lastReply,
  } = change;
  return {
    status,
    since: status === before.status ? before.since : at,
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
    wait: status === 'waiting' ? wait : null,
    command,
    lastReply,
  };
}
