import { describe, expect, it } from 'vitest';
import { Program, type ProgramOptions } from '../../testing/index.js';
import type { Role, SagaEntry } from '../journal/index.js';
import { emptyState, fold, type SagaState, type TaskState } from '../state/index.js';
import { decide } from './decide.js';
import type { Decision, DecisionContext } from './decision.js';

type Status = TaskState['status'];

const NOW = 1_000_000;
const ERROR = { name: 'Error', message: 'broken' };
const STATUSES: readonly Status[] = [
  'idle',
  'running',
  'waiting',
  'backoff',
  'done',
  'failed',
  'unknown',
];

/** The entries that bring a task to a status; `again`: it was begun, and is idle once more. */
function entriesTo(role: Role, step: string, status: Status | 'again'): SagaEntry[] {
  const of = { role, step, item: null, attempt: 1 } as const;
  const started: SagaEntry = { kind: 'started', ...of, by: 'me', epoch: 1 };
  switch (status) {
    case 'idle':
      return [];
    case 'again':
      return [started, { kind: 'released', ...of, doubt: true }];
    case 'running':
      return [started];
    case 'waiting': {
      const reply = { messageId: `m-${role}-${step}`, type: 'a.b', key: step };
      const waiting = { for: { kind: 'reply', ...reply }, timeoutMs: 60_000 } as const;
      return [started, { kind: 'waiting', ...of, ...waiting }];
    }
    case 'backoff':
      return [
        started,
        { kind: 'attempt_failed', ...of, error: ERROR, delayMs: 5_000, doubt: true },
      ];
    case 'done':
      return [started, { kind: 'completed', ...of, output: null }];
    case 'failed':
      return [started, { kind: 'failed', ...of, error: ERROR, doubt: false }];
    case 'unknown':
      return [started, { kind: 'unknown', ...of, error: ERROR }];
  }
}

function stateOf(entries: readonly SagaEntry[]): SagaState {
  const state = emptyState();
  fold(state, { kind: 'saga_started', input: null }, NOW);
  for (const entry of entries) fold(state, entry, NOW);
  return state;
}

function surroundings(options: ProgramOptions): DecisionContext {
  return {
    definition: new Program(options).definition,
    sagaId: 'saga',
    tenant: '',
    incarnation: 'me',
    epoch: 1,
    now: NOW,
    backAt: 0,
    deadlineAt: null,
    permits: { steps: 100, transactional: 100, suspects: 1, alone: 1 },
    unsettled: () => false,
    random: () => 0,
    service: 'test',
    mayStart: true,
    handsOver: false,
    draining: false,
    shortDelayMs: 1_000,
    postponedUntil: () => 0,
    newMessageId: () => 'message',
  };
}

/** Why nobody would ever move the saga on; null: it ends, or somebody does. */
function stuck({ next, wakeAt: wakesAt, startPostponed, ownership }: Decision): string | null {
  const inMs = ownership.kind === 'give_back' ? ownership.wakeInMs : null;
  const wakeAt = wakesAt ?? (inMs === null ? null : NOW + inMs);
  switch (next.phase) {
    case 'ended':
    case 'attention':
      return null;
    case 'forward':
    case 'undoing':
      break;
  }
  let moves = startPostponed;
  for (const [{ role, step }, task] of next.tasks) {
    if (task.status === 'running') moves = true;
    if (task.wait === null) continue;
    if (wakeAt === null || wakeAt > task.wait.until)
      return `nobody looks when the reply to the ${role} '${step}' is missing`;
  }
  return moves || wakeAt !== null ? null : 'nothing runs, and nothing wakes it';
}

function* product<T>(lists: readonly (readonly T[])[]): Generator<readonly T[]> {
  const [first, ...others] = lists;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const head of first) for (const tail of product(others)) yield [head, ...tail];
}

const ALL: readonly (Status | 'again')[] = [...STATUSES, 'again'];
const ENDS: readonly (Status | 'again')[] = ['done', 'failed', 'unknown'];
const STRATEGIES = ['fail-fast', 'wait-all', 'fail-fast-with-grace'] as const;

describe('a decision, whatever stands in the journal', () => {
  for (const failureStrategy of STRATEGIES) {
    it(`leaves no saga that nobody moves, going forward (${failureStrategy})`, () => {
      const context = surroundings({
        failureStrategy,
        graceMs: 1_000,
        steps: {
          pay: { pivot: true, undo: true },
          ship: { dependsOn: ['pay'], recover: () => null, undo: true },
          mail: { dependsOn: ['pay'], undo: true },
          bill: { dependsOn: ['pay'], recover: () => null },
        },
      });
      const found: string[] = [];
      for (const cancelled of [false, true]) {
        const lists = [ALL, ALL, ALL, ALL, ['done', 'failed'], ['idle', 'unknown']] as const;
        for (const combination of product<Status | 'again'>(lists)) {
          const [pay, ship, shipRecovery, mail, bill, billRecovery] = combination;
          // A recovery is begun only for a step that has failed behind a pivot.
          const recovers = shipRecovery !== 'idle' || billRecovery !== 'idle';
          const broken = (step: string | undefined): boolean =>
            step === 'failed' || step === 'unknown';
          if (recovers && (pay !== 'done' || (shipRecovery !== 'idle' && !broken(ship)))) continue;
          if (billRecovery !== 'idle' && !broken(bill)) continue;
          const state = stateOf([
            ...entriesTo('step', 'pay', pay ?? 'idle'),
            ...entriesTo('step', 'ship', ship ?? 'idle'),
            ...entriesTo('recovery', 'ship', shipRecovery ?? 'idle'),
            ...entriesTo('step', 'mail', mail ?? 'idle'),
            ...entriesTo('step', 'bill', bill ?? 'idle'),
            ...entriesTo('recovery', 'bill', billRecovery ?? 'idle'),
          ]);
          if (cancelled) {
            fold(state, { kind: 'failing', failure: { kind: 'cancelled', reason: '' } }, NOW);
          }
          const why = stuck(decide(state, [], { ...context, permits: { ...context.permits } }));
          if (why !== null) found.push(`${combination.join(' ')} ${String(cancelled)}: ${why}`);
        }
      }
      expect(found.slice(0, 10)).toEqual([]);
    });
  }

  it('leaves no saga that nobody moves, undoing', () => {
    const context = surroundings({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], undo: true },
        none: { dependsOn: ['b'] },
        c: { dependsOn: ['none'], undo: true },
      },
    });
    const found: string[] = [];
    for (const combination of product<Status | 'again'>([ENDS, ENDS, ALL, ALL, ALL])) {
      const [b, c, undoA, undoB, undoC] = combination;
      const state = stateOf([
        ...entriesTo('step', 'a', 'done'),
        ...entriesTo('step', 'b', b ?? 'idle'),
        ...entriesTo('step', 'c', c ?? 'idle'),
        { kind: 'compensating' },
        ...entriesTo('compensation', 'a', undoA ?? 'idle'),
        ...entriesTo('compensation', 'b', undoB ?? 'idle'),
        ...entriesTo('compensation', 'c', undoC ?? 'idle'),
      ]);
      const why = stuck(decide(state, [], { ...context, permits: { ...context.permits } }));
      // An undo of a step that is known to have had no effect is nobody's.
      const foreign = (b === 'failed' && undoB !== 'idle') || (c === 'failed' && undoC !== 'idle');
      if (why !== null && !foreign) found.push(`${combination.join(' ')}: ${why}`);
    }
    expect(found.slice(0, 10)).toEqual([]);
  });
});
