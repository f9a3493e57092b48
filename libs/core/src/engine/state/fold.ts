import {
  formatOf,
  taskRef,
  type Awaited,
  type Failure,
  type SagaEntry,
  type TaskEntry,
  type TaskRef,
} from '../journal/index.js';
import { setTask, taskOf, type SagaState, type TaskState } from './saga-state.js';
import { stageOf } from './task-stage.js';

/**
 * How many commands of earlier attempts are remembered, so that a late reply to them counts. Older ones
 * are hours old.
 */
const MOST_COMMANDS = 99;

/**
 * Applies one entry to the state. `at` is when it was recorded, by the store's clock in milliseconds.
 * Nothing but the arguments counts, so replaying a journal gives the same state.
 */
export function fold(state: SagaState, entry: SagaEntry, at: number): void {
  state.format = Math.max(state.format, formatOf(entry));
  if ('role' in entry) {
    foldTask(state, entry, at);
    return;
  }
  switch (entry.kind) {
    case 'saga_started':
      state.startedAt = at;
      state.directionSince = at;
      state.input = entry.input;
      state.trace = entry.trace ?? {};
      return;
    case 'failing':
      if (state.failures.length === 0) state.failingSince = at;
      state.failures = [...state.failures, entry.failure];
      return;
    case 'compensating':
      state.phase = 'undoing';
      state.resume = 'undoing';
      state.directionSince = at;
      state.attention = null;
      return;
    case 'needs_attention':
      state.phase = 'attention';
      state.attention = { reason: entry.reason, detail: entry.detail };
      return;
    case 'retry_requested':
      state.phase = state.resume;
      state.directionSince = at;
      state.attention = null;
      freshChance(state, entry.again, at);
      return;
    case 'saga_ended':
      state.phase = 'ended';
      state.end = { status: entry.status, output: entry.output, reason: entry.reason };
      return;
    case 'adopted':
    case 'parked':
    case 'mail_ignored':
      return;
  }
}

function foldTask(state: SagaState, entry: TaskEntry, at: number): void {
  const { attempt } = entry;
  const ref = taskRef(entry);
  const task = taskOf(state, ref);
  switch (entry.kind) {
    case 'started':
      setTask(state, ref, at, {
        status: 'running',
        attempt,
        by: entry.by,
        epoch: entry.epoch,
        dueAt: 0,
      });
      return;
    case 'completed':
      setTask(state, ref, at, {
        status: 'done',
        attempt,
        output: entry.output,
        error: null,
        doubt: false,
        crashes: 0,
        command: null,
      });
      // The step had given up, and its success came late, so it counts as not failed.
      if (ref.role === 'step') forgiveStep(state, ref);
      return;
    case 'attempt_failed':
      setTask(state, ref, at, {
        status: 'backoff',
        attempt,
        failures: task.failures + 1,
        // The process survived the task, so earlier crashes had another cause.
        crashes: 0,
        doubt: task.doubt || entry.doubt,
        error: entry.error,
        dueAt: at + entry.delayMs,
        lastReply: entry.reply ?? null,
      });
      return;
    case 'failed':
      setTask(state, ref, at, {
        ...ended(entry.error),
        status: 'failed',
        attempt,
        doubt: entry.doubt,
      });
      if (ref.role === 'step') fail(state, entry, at);
      return;
    case 'unknown':
      setTask(state, ref, at, {
        ...ended(entry.error),
        status: 'unknown',
        attempt,
        doubt: true,
      });
      if (ref.role === 'step') fail(state, entry, at);
      return;
    case 'waiting':
      setTask(state, ref, at, {
        status: 'waiting',
        attempt,
        crashes: 0,
        ...waitOf(task, entry.for, at, at + entry.timeoutMs),
      });
      return;
    case 'crashed':
      setTask(state, ref, at, {
        status: 'backoff',
        crashes: task.crashes + 1,
        doubt: task.doubt || entry.doubt,
        dueAt: at + entry.delayMs,
      });
      return;
    case 'released':
      setTask(state, ref, at, { status: 'idle', doubt: task.doubt || entry.doubt });
      return;
    case 'late_success':
      foldLateSuccess(state, ref, entry.output, at);
      return;
  }
}

function waitOf(
  { command }: TaskState,
  awaited: Awaited,
  since: number,
  until: number,
): Pick<TaskState, 'wait' | 'command'> {
  const { kind, key, messageId: id, handledBy = null } = awaited;
  const earlier = command?.key === key ? command.ids.slice(-MOST_COMMANDS) : [];
  return {
    wait: { kind, since, until },
    command: { key, id, ids: [...earlier, id], handledBy },
  };
}

function ended(error: TaskState['error']): Partial<TaskState> {
  return { error, crashes: 0 };
}

function fail(
  state: SagaState,
  entry: Extract<TaskEntry, { kind: 'failed' | 'unknown' }>,
  at: number,
): void {
  if (state.failures.length === 0) state.failingSince = at;
  const { step, item, error } = entry;
  const failure: Failure = { kind: 'step', step, item, error };
  const known = state.failures.findIndex((one) => isOf(one, entry));
  // A late reply may say how a step of unknown outcome failed; that is the same failure and replaces
  // the one that is known.
  state.failures = known < 0 ? [...state.failures, failure] : state.failures.with(known, failure);
}

/**
 * Records that an abandoned attempt has succeeded. If its step was undone or is being undone, the undo
 * is repeated.
 */
function foldLateSuccess(state: SagaState, ref: TaskRef, output: unknown, at: number): void {
  // The success of an undo changes nothing, since the effect may have come once more after it.
  if (ref.role === 'compensation') return;
  if (ref.role === 'recovery') {
    setTask(state, ref, at, { doubt: true, output });
    return;
  }
  const undo: TaskRef = { ...ref, role: 'compensation' };
  if (taskOf(state, ref).status === 'done') {
    // A success of an earlier attempt with the same key is the same effect. It matters only if the undo
    // of the later one had begun.
    if (taskOf(state, undo).status === 'idle') return;
  } else {
    setTask(state, ref, at, { doubt: true, output });
    if (state.phase === 'forward') return;
    setTask(state, ref, at, { status: 'done' });
  }
  setTask(state, undo, at, { status: 'idle', failures: 0, crashes: 0, error: null });
}

/** Gives tasks that had given up all their attempts anew, after an operator's retry. */
function freshChance(state: SagaState, again: readonly TaskRef[], at: number): void {
  for (const ref of again) {
    const task = taskOf(state, ref);
    // A task that waits after a crash stays a suspect, since no run of it has been seen to end.
    const crashes = stageOf(task) === 'gave_up' ? 0 : task.crashes;
    setTask(state, ref, at, { status: 'idle', failures: 0, crashes });
    if (ref.role === 'step') forgiveStep(state, ref);
  }
}

function forgiveStep(state: SagaState, ref: TaskRef): void {
  const left = state.failures.filter((one) => !isOf(one, ref));
  if (left.length < state.failures.length) state.failures = left;
}

/** Whether the failure is that of this step, or of this item of it. */
function isOf(failure: Failure, { step, item }: TaskRef): boolean {
  return failure.kind === 'step' && failure.step === step && failure.item === item;
}
