import assert from 'node:assert/strict';
import type { SagaStatus } from '../../ports/index.js';
import type { RandomTrial } from './random-trial.js';

/** What must hold when a saga of any graph has met any faults. */
export function checkTrial(
  trial: RandomTrial,
  id: string,
  status: SagaStatus | undefined,
  journal: readonly string[],
): void {
  const { plans, outside, program } = trial;
  assert.deepEqual(trial.wrongKeys, [], 'every run of a step has the same key');
  const completed = (name: string): number =>
    journal.filter((line) => line === `step_completed ${name}`).length;
  const stands = (name: string): boolean => outside.applied.has(`${id}:${name}`);
  for (const [name, { kind }] of plans) {
    assert.ok(completed(name) <= 1, `'${name}' completed more than once`);
    if (kind !== 'transactional') continue;
    const rows = trial.rows.entries().filter(([row]) => row.startsWith(`${id}:${name} `)).length;
    assert.equal(rows, completed(name), `the writes of '${name}' are what its journal says`);
  }
  switch (status) {
    case 'completed':
      for (const [name, { kind }] of plans) {
        if (journal.includes(`recovery_completed ${name}`)) continue;
        // A pivot in doubt may be settled by an attempt that comes back late.
        const late = journal.includes(`step_late_success ${name}`);
        assert.ok(completed(name) === 1 || late, `'${name}' of a completed saga`);
        if (kind !== 'transactional') assert.ok(stands(name), `the effect of '${name}'`);
      }
      assert.equal(outside.undone.size, 0, 'a completed saga undid something');
      return;
    case 'compensated':
      for (const [name, { pivot, undo }] of plans) {
        assert.ok(!pivot || completed(name) === 0, `the pivot '${name}' was passed`);
        if (undo) assert.ok(!stands(name), `the effect of '${name}' still stands`);
      }
      checkOrder(trial, journal);
      return;
    case 'partially_committed': {
      const [pivot] = [...plans].find(([, plan]) => plan.pivot) ?? [''];
      assert.equal(completed(pivot), 1, 'partially committed without a pivot');
      for (const name of [pivot, ...(program.definition.steps.get(pivot)?.ancestors ?? [])]) {
        assert.ok(!outside.undone.has(`${id}:${name}`), `'${name}' was undone behind the pivot`);
      }
      return;
    }
    case 'needs_attention':
      assert.ok(journal.includes('needs_attention'), 'parked without a reason');
      return;
    case undefined:
    case 'pending':
    case 'running':
    case 'waiting':
    case 'compensating':
    case 'terminated':
      assert.fail(`The saga did not end: ${status ?? 'missing'}\n${journal.join('\n')}`);
  }
}

/** Whatever depends on a step was undone before it, unless its effect came late. */
function checkOrder({ program }: RandomTrial, journal: readonly string[]): void {
  for (const [name, step] of program.definition.steps) {
    if (journal.includes(`step_late_success ${name}`)) continue;
    const undone = journal.indexOf(`compensation_completed ${name}`);
    if (undone < 0) continue;
    for (const ancestor of step.ancestors) {
      const begun = journal.indexOf(`compensation_started ${ancestor}`);
      assert.ok(begun < 0 || begun > undone, `'${ancestor}' was undone before '${name}'`);
    }
  }
}
