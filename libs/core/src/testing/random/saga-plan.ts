import { pick } from './seeded-random.js';

/**
 * What happens in one call. `hang` ends only when it is aborted, `deaf` has its effect long after it
 * was, `die` ends the process before the effect and `die_after` after it.
 */
export type Fault =
  'ok' | 'slow' | 'throw' | 'final' | 'refuse' | 'hang' | 'deaf' | 'die' | 'die_after';

export interface StepPlan {
  readonly kind: 'local' | 'transactional' | 'command';
  /** By call; what comes after them is `ok`. */
  readonly faults: readonly Fault[];
  readonly undoFaults: readonly Fault[];
  readonly undo: boolean;
  readonly recover: boolean;
  readonly pivot: boolean;
  readonly dependsOn: readonly string[];
}

function faults(random: () => number, likely: number): Fault[] {
  return Array.from({ length: 4 }, () =>
    random() < likely
      ? pick<Fault>(
          random,
          'throw',
          'throw',
          'final',
          'refuse',
          'hang',
          'deaf',
          'die',
          'die_after',
          'slow',
        )
      : pick<Fault>(random, 'ok', 'ok', 'ok', 'slow'),
  );
}

function planStep(random: () => number, before: readonly string[], pivot: boolean): StepPlan {
  const kind = pivot
    ? 'local'
    : pick<StepPlan['kind']>(random, 'local', 'local', 'transactional', 'command');
  return {
    kind,
    pivot,
    faults: faults(random, 0.3),
    undoFaults: faults(random, 0.15).filter((fault) => fault !== 'refuse' && fault !== 'final'),
    undo: !pivot && random() < 0.75,
    recover: !pivot && random() < 0.3,
    dependsOn: before.filter(() => random() < 0.4),
  };
}

/** A graph of two to seven steps, with what goes wrong in each. */
export function planSaga(random: () => number): ReadonlyMap<string, StepPlan> {
  const plans = new Map<string, StepPlan>();
  const size = 2 + Math.floor(random() * 6);
  const pivotAt = random() < 0.35 ? Math.floor(random() * size) : -1;
  for (let at = 0; at < size; at += 1) {
    plans.set(String.fromCharCode(97 + at), planStep(random, [...plans.keys()], at === pivotAt));
  }
  return plans;
}

/** A plan as a person reads it. */
export function describePlan(plans: ReadonlyMap<string, StepPlan>): string {
  return [...plans]
    .map(([name, plan]) => {
      const undo = plan.undo ? ` undo ${plan.undoFaults.join('/')}` : '';
      const more = `${plan.pivot ? ' PIVOT' : ''}${plan.recover ? ' recover' : ''}`;
      return `${name}(${plan.dependsOn.join(',')}) ${plan.kind} ${plan.faults.join('/')}${undo}${more}`;
    })
    .join('\n');
}
