import type { Decision } from '../decide/index.js';
import type { FactStream, SagaFacts } from '../facts/index.js';
import { taskRef, type TaskEntry, type WholeEntry } from '../journal/index.js';
import { taskOf, type SagaState } from '../state/index.js';
import type { EngineContext } from './engine-context.js';

type Teller = Pick<EngineContext, 'facts' | 'storeNow'>;

/** Tells the facts that a committed transition brought about. `before`: the state that it changed. */
export function tellTransition(
  engine: Teller,
  saga: SagaFacts,
  before: SagaState,
  { entries, next, ownership }: Decision,
): void {
  for (const entry of entries) {
    if ('role' in entry) tellTask(engine.facts, saga, before, entry);
    else tellWhole(engine, saga, next, entry);
  }
  const { facts } = engine;
  const goesOn = next.phase === 'forward' || next.phase === 'undoing';
  if (ownership.kind === 'give_back' && goesOn && facts.wants('saga_given_back')) {
    facts.tell({ kind: 'saga_given_back', ...saga, dueInMs: ownership.wakeInMs });
  }
}

function tellTask(facts: FactStream, saga: SagaFacts, before: SagaState, entry: TaskEntry): void {
  switch (entry.kind) {
    case 'attempt_failed':
    case 'failed':
    case 'unknown':
      // It is given up because each process that ran it died.
      if (entry.kind === 'unknown' && entry.error.name === 'Crashed')
        tellCrash(facts, saga, before, entry);
      tellFailure(facts, saga, entry);
      return;
    case 'crashed':
      tellCrash(facts, saga, before, entry);
      return;
    // The engine in which an attempt begins and ends tells that itself.
    case 'started':
    case 'completed':
    case 'waiting':
    case 'released':
    case 'late_success':
      return;
  }
}

function tellFailure(
  facts: FactStream,
  saga: SagaFacts,
  entry: Extract<TaskEntry, { kind: 'attempt_failed' | 'failed' | 'unknown' }>,
): void {
  if (!facts.wants('task_failed')) return;
  const { kind, attempt, error } = entry;
  facts.tell({
    kind: 'task_failed',
    ...saga,
    ...taskRef(entry),
    attempt,
    error,
    next: kind === 'attempt_failed' ? 'attempt' : kind,
    delayMs: kind === 'attempt_failed' ? entry.delayMs : null,
  });
}

function tellCrash(facts: FactStream, saga: SagaFacts, before: SagaState, entry: TaskEntry): void {
  if (!facts.wants('task_crashed')) return;
  const { attempt } = entry;
  const crashes = taskOf(before, entry).crashes + 1;
  facts.tell({ kind: 'task_crashed', ...saga, ...taskRef(entry), attempt, crashes });
}

function tellWhole(engine: Teller, saga: SagaFacts, next: SagaState, entry: WholeEntry): void {
  const { facts } = engine;
  switch (entry.kind) {
    case 'adopted':
      if (entry.from !== null && facts.wants('saga_adopted'))
        facts.tell({ kind: 'saga_adopted', ...saga, from: entry.from });
      return;
    case 'failing':
      if (facts.wants('saga_failing'))
        facts.tell({ kind: 'saga_failing', ...saga, failure: entry.failure });
      return;
    case 'compensating':
      if (facts.wants('saga_compensating')) facts.tell({ kind: 'saga_compensating', ...saga });
      return;
    case 'mail_ignored':
      if (entry.code !== undefined && facts.wants('reply_ignored'))
        facts.tell({ kind: 'reply_ignored', ...saga, reason: entry.code });
      return;
    case 'needs_attention': {
      if (!facts.wants('saga_needs_attention')) return;
      const { reason, detail } = entry;
      const durationMs = durationOf(engine, next);
      const why = { reason, detail, durationMs, unreadable: false };
      facts.tell({ kind: 'saga_needs_attention', ...saga, ...why });
      return;
    }
    case 'saga_ended': {
      if (!facts.wants('saga_ended')) return;
      const { status } = entry;
      const durationMs = durationOf(engine, next);
      const { sagaId, saga: name, version, createdAt, traceparent } = saga;
      // Named one by one, since every saga ends, and a spread takes many times as long.
      facts.tell({
        kind: 'saga_ended',
        sagaId,
        saga: name,
        version,
        createdAt,
        traceparent,
        status,
        durationMs,
      });
      return;
    }
    // A start is told where the saga begins to run.
    case 'saga_started':
    case 'parked':
    case 'retry_requested':
      return;
  }
}

/**
 * How long the saga took, by the store's clock, so that it is right across waits and processes; at least 0,
 * since that clock may have been set back.
 */
function durationOf(engine: Teller, { startedAt }: SagaState): number {
  return Math.max(0, engine.storeNow() - startedAt);
}
