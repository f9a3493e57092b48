import type { Fault, SagaPlan, SecondPlan, StepPlan } from './saga-plan.js';
import type { TrialPlan } from './trial-plan.js';

/** Plans that are a little less than this one, the boldest first. */
export function* smaller(plan: TrialPlan): Generator<TrialPlan> {
  for (let at = 0; at < plan.sagas.length - 1; at += 1) yield withoutSaga(plan, at);
  if (plan.acts.length > 0) yield { ...plan, acts: [] };
  for (const act of plan.acts) yield { ...plan, acts: plan.acts.filter((one) => one !== act) };
  for (const [at, saga] of plan.sagas.entries()) {
    for (const less of smallerSagas(saga)) {
      yield { ...plan, sagas: plan.sagas.with(at, less) };
    }
  }
}

function withoutSaga(plan: TrialPlan, gone: number): TrialPlan {
  const left = <T>(list: readonly T[]): T[] => list.filter((_, at) => at !== gone);
  const acts = plan.acts
    .filter(({ saga }) => saga !== gone)
    .map((act) => ({ ...act, saga: act.saga > gone ? act.saga - 1 : act.saga }));
  return { ...plan, sagas: left(plan.sagas), startsAtMs: left(plan.startsAtMs), acts };
}

function* smallerSagas(saga: SagaPlan): Generator<SagaPlan> {
  if (saga.deadlineMs !== null) yield { ...saga, deadlineMs: null };
  if (saga.strategy !== 'fail-fast') yield { ...saga, strategy: 'fail-fast' };
  for (const name of saga.steps.keys()) {
    if (saga.steps.size > 1) yield { ...saga, steps: withoutStep(saga.steps, name) };
  }
  for (const [name, step] of saga.steps) {
    for (const less of smallerSteps(step)) {
      yield { ...saga, steps: new Map([...saga.steps, [name, less]]) };
    }
  }
}

function withoutStep(
  steps: ReadonlyMap<string, StepPlan>,
  gone: string,
): ReadonlyMap<string, StepPlan> {
  const left = [...steps].filter(([name]) => name !== gone);
  return new Map(
    left.map(([name, step]) => [
      name,
      { ...step, dependsOn: step.dependsOn.filter((one) => one !== gone) },
    ]),
  );
}

function* smallerSteps(step: StepPlan): Generator<StepPlan> {
  if (step.undo !== null) yield { ...step, undo: null };
  if (step.recover !== null) yield { ...step, recover: null };
  if (step.pivot) yield { ...step, pivot: false };
  if (step.kind !== 'local') yield { ...step, kind: 'local' };
  for (const dependency of step.dependsOn) {
    yield { ...step, dependsOn: step.dependsOn.filter((one) => one !== dependency) };
  }
  for (const faults of calmer(step.faults)) yield { ...step, faults };
  for (const role of ['undo', 'recover'] as const) {
    const second: SecondPlan | null = step[role];
    if (second === null) continue;
    for (const faults of calmer(second.faults)) yield { ...step, [role]: { ...second, faults } };
  }
}

function* calmer(faults: readonly Fault[]): Generator<readonly Fault[]> {
  for (const [at, fault] of faults.entries()) {
    if (fault !== 'ok') yield faults.with(at, 'ok');
  }
}
