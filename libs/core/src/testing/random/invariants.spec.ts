import { describe, expect, it } from 'vitest';
import { checkSaga, type SagaEvidence } from './invariants.js';
import type { SagaPlan, StepPlan } from './saga-plan.js';
import { keyOf, programOf, type TrialWorld } from './trial-programs.js';

const ID = '0190d000-0000-7000-8000-000000000001';
const key = (step: string): string => keyOf(ID, 'step', step);
const calm = { faults: [], recover: null, dependsOn: [] };
const undo = { faults: [], attempts: 1 };
const steps = new Map<string, StepPlan>([
  ['a', { ...calm, kind: 'local', pivot: false, undo }],
  ['b', { ...calm, kind: 'transactional', pivot: false, undo: null, dependsOn: ['a'] }],
  ['c', { ...calm, kind: 'local', pivot: true, undo: null, dependsOn: ['b'] }],
]);
const plan: SagaPlan = { steps, strategy: 'fail-fast', deadlineMs: null, maxCrashes: 4 };
const nowhere: TrialWorld = {
  outside: { apply: () => undefined, undo: () => undefined },
  random: () => 0,
  write: () => undefined,
  sleep: () => Promise.resolve(),
  die: () => Promise.reject(new Error('nobody')),
  called: () => 0,
};

const completed: SagaEvidence = {
  saga: 0,
  id: ID,
  plan,
  definition: programOf(plan, 0, nowhere).definition,
  bystander: false,
  terminated: false,
  status: 'completed',
  journal: ['step_completed a', 'step_completed b', 'step_completed c'],
  reason: null,
  applied: new Set([key('a'), key('c')]),
  undone: new Set(),
  rows: [`${key('b')} 1`],
  wrongKeys: [],
};
const compensated: SagaEvidence = {
  ...completed,
  status: 'compensated',
  journal: ['step_completed a', 'step_failed b', 'compensation_completed a'],
  applied: new Set(),
  undone: new Set([key('a')]),
  rows: [],
};

const wrong: readonly (readonly [string, SagaEvidence, RegExp])[] = [
  ['a saga that nobody moves', { ...completed, status: 'running' }, /did not end/],
  ['a saga that is missing', { ...completed, status: undefined }, /did not end/],
  [
    'rows that were written twice',
    { ...completed, rows: [`${key('b')} 1`, `${key('b')} 2`] },
    /writes of 'b'/,
  ],
  ['rows that are missing', { ...completed, rows: [] }, /writes of 'b'/],
  ['rows of a step that did not complete', { ...compensated, rows: completed.rows }, /writes of/],
  [
    'a step that completed twice',
    { ...completed, journal: [...completed.journal, 'step_completed a'] },
    /more than once/,
  ],
  ['an effect that is missing', { ...completed, applied: new Set([key('a')]) }, /effect of 'c'/],
  ['an undone effect of a completed saga', { ...completed, undone: new Set([key('a')]) }, /undid/],
  ['an effect that still stands', { ...compensated, applied: new Set([key('a')]) }, /stands/],
  [
    'an undo behind the point of no return',
    { ...compensated, journal: [...compensated.journal, 'step_completed c'] },
    /pivot 'c' was passed/,
  ],
  ['a call under another key', { ...completed, wrongKeys: ['other'] }, /same key/],
  ['a harmed bystander', { ...compensated, bystander: true }, /nothing went wrong/],
  ['an end that nobody asked for', { ...completed, status: 'terminated' }, /nobody asked/],
  ['a saga parked without a reason', { ...completed, status: 'needs_attention' }, /parked because/],
];

describe('the invariants of random programs', () => {
  it('accept books that are right', () => {
    checkSaga(completed);
    checkSaga(compensated);
  });

  it.each(wrong)('refuse %s', (_what, evidence, told) => {
    expect(() => checkSaga(evidence)).toThrow(told);
  });
});
