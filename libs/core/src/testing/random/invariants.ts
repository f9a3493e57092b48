import assert from 'node:assert/strict';
import type { SagaStatus } from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import type { SagaPlan } from './saga-plan.js';

/** The traces that a trial leaves of one saga. */
export interface SagaEvidence {
  readonly saga: number;
  readonly id: string;
  readonly plan: SagaPlan;
  readonly definition: SagaDefinition;
  /** Nothing went wrong in it. */
  readonly bystander: boolean;
  /** An operator asked for its end. */
  readonly terminated: boolean;
  readonly status: SagaStatus | undefined;
  /** Kinds and steps, one line each. */
  readonly journal: readonly string[];
  /** The data of the last entry that asks for a person. */
  readonly reason: string | null;
  /** Keys whose effect stands outside, of all sagas. */
  readonly applied: ReadonlySet<string>;
  readonly undone: ReadonlySet<string>;
  /** The writes of transactional steps, each beginning with its key. */
  readonly rows: readonly string[];
  readonly wrongKeys: readonly string[];
}

/** Whether a saga has ended or waits for a person. */
export function isSettled(status: SagaStatus | undefined): boolean {
  switch (status) {
    case 'completed':
    case 'compensated':
    case 'partially_committed':
    case 'needs_attention':
    case 'terminated':
      return true;
    case undefined:
    case 'pending':
    case 'running':
    case 'waiting':
    case 'compensating':
      return false;
  }
}

/** The invariants that hold when a saga of any graph has met any faults. */
export function checkSaga(evidence: SagaEvidence): void {
  try {
    check(evidence);
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    const { saga, status, journal } = evidence;
    const where = `saga ${saga} (${status ?? 'missing'})`;
    throw new Error(`${where}: ${told}\n${journal.join('\n')}`, { cause: error });
  }
}

function check(evidence: SagaEvidence): void {
  const { plan, id, status, journal } = evidence;
  assert.deepEqual(evidence.wrongKeys, [], 'every run of a task has the same key');
  const completed = (name: string): number => count(journal, `step_completed ${name}`);
  for (const [name, { kind }] of plan.steps) {
    assert.ok(completed(name) <= 1, `'${name}' completed more than once`);
    if (kind !== 'transactional') continue;
    const rows = evidence.rows.filter((row) => row.startsWith(`${id}:${name} `)).length;
    assert.equal(rows, completed(name), `the writes of '${name}' are what its journal says`);
  }
  if (evidence.bystander) assert.equal(status, 'completed', 'nothing went wrong in it');
  switch (status) {
    case 'completed': {
      checkCompleted(evidence);
      return;
    }
    case 'compensated': {
      checkCompensated(evidence);
      return;
    }
    case 'partially_committed': {
      checkPartial(evidence);
      return;
    }
    case 'needs_attention': {
      checkParked(evidence);
      return;
    }
    case 'terminated':
      assert.ok(evidence.terminated, 'nobody asked for its end');
      return;
    case undefined:
    case 'pending':
    case 'running':
    case 'waiting':
    case 'compensating':
      assert.fail('it did not end, and nobody moves it');
  }
}

function checkCompleted({ plan, id, journal, applied, undone }: SagaEvidence): void {
  for (const [name, { kind }] of plan.steps) {
    assert.ok(!undone.has(`${id}:${name}`), `a completed saga undid '${name}'`);
    if (journal.includes(`recovery_completed ${name}`)) continue;
    // A step in doubt may be settled by an attempt that comes back late.
    const late = journal.includes(`step_late_success ${name}`);
    const done = count(journal, `step_completed ${name}`) === 1;
    assert.ok(done || late, `'${name}' of a completed saga`);
    if (kind !== 'transactional') {
      assert.ok(applied.has(`${id}:${name}`), `the effect of '${name}'`);
    }
  }
}

function checkCompensated({ plan, id, definition, journal, applied }: SagaEvidence): void {
  for (const [name, { pivot, undo }] of plan.steps) {
    assert.ok(
      !pivot || count(journal, `step_completed ${name}`) === 0,
      `the pivot '${name}' was passed`,
    );
    if (undo !== null) {
      assert.ok(!applied.has(`${id}:${name}`), `the effect of '${name}' still stands`);
    }
  }
  checkOrder(definition, journal);
}

function checkPartial({ plan, id, definition, journal, undone }: SagaEvidence): void {
  const passed = [...plan.steps].filter(
    ([name, { pivot }]) => pivot && journal.includes(`step_completed ${name}`),
  );
  assert.ok(passed.length > 0, 'partially committed without a pivot');
  for (const [pivot] of passed) {
    for (const name of [pivot, ...(definition.steps.get(pivot)?.ancestors ?? [])]) {
      assert.ok(!undone.has(`${id}:${name}`), `'${name}' was undone behind the pivot '${pivot}'`);
    }
  }
}

/** A person is asked only for what is there. */
function checkParked({ plan, journal, reason }: SagaEvidence): void {
  const parsed: unknown = JSON.parse(reason ?? '{}');
  const said: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'reason') : undefined;
  const gaveUp = (role: string): boolean =>
    journal.some((line) => line.startsWith(`${role}_failed`) || line.startsWith(`${role}_unknown`));
  const pivots = [...plan.steps].filter(([, { pivot }]) => pivot).map(([name]) => name);
  switch (said) {
    case 'compensation_failed':
      assert.ok(gaveUp('compensation'), 'no compensation gave up');
      return;
    case 'recovery_failed':
      assert.ok(gaveUp('recovery'), 'no recovery gave up');
      return;
    case 'pivot_unknown':
      assert.ok(
        pivots.some((name) => journal.includes(`step_unknown ${name}`)),
        'no pivot is in doubt',
      );
      return;
    case 'late_effect':
      assert.ok(
        journal.some((line) => line.includes('_late_success')),
        'no effect came late',
      );
      return;
    default:
      assert.fail(`it is parked because of ${String(said)}`);
  }
}

/** All steps that depend on a step were undone before it, unless its effect came late. */
function checkOrder(definition: SagaDefinition, journal: readonly string[]): void {
  for (const [name, step] of definition.steps) {
    if (journal.includes(`step_late_success ${name}`)) continue;
    const undone = journal.indexOf(`compensation_completed ${name}`);
    if (undone < 0) continue;
    for (const ancestor of step.ancestors) {
      const begun = journal.indexOf(`compensation_started ${ancestor}`);
      assert.ok(begun < 0 || begun > undone, `'${ancestor}' was undone before '${name}'`);
    }
  }
}

function count(journal: readonly string[], line: string): number {
  return journal.filter((one) => one === line).length;
}
