import { pick } from './seeded-random.js';

/**
 * The behaviour of one call. `hang` ends only when it is aborted, `deaf` has its effect long after it
 * was, `never` does not end at all, `die` ends the process before the effect and `die_after` after it.
 */
export type Fault =
  'ok' | 'slow' | 'throw' | 'final' | 'refuse' | 'hang' | 'deaf' | 'never' | 'die' | 'die_after';

/** A compensation or a recovery. */
export interface SecondPlan {
  /** By call; what comes after them is `ok`. */
  readonly faults: readonly Fault[];
  readonly attempts: number;
}

export interface StepPlan {
  readonly kind: 'local' | 'transactional' | 'command';
  /** By call; what comes after them is `ok`. */
  readonly faults: readonly Fault[];
  readonly undo: SecondPlan | null;
  readonly recover: SecondPlan | null;
  readonly pivot: boolean;
  readonly dependsOn: readonly string[];
}

/** One saga of a trial: its graph, and all that goes wrong in it. */
export interface SagaPlan {
  readonly steps: ReadonlyMap<string, StepPlan>;
  readonly strategy: 'fail-fast' | 'wait-all' | 'fail-fast-with-grace';
  readonly deadlineMs: number | null;
  /** After so many deaths of its process in a row, a step is given up. */
  readonly maxCrashes: number;
}

const FAULTS: readonly [Fault, ...Fault[]] = [
  'throw',
  'throw',
  'throw',
  'final',
  'final',
  'refuse',
  'hang',
  'deaf',
  'never',
  'die',
  'die_after',
  'slow',
];

function faults(random: () => number, likely: number): Fault[] {
  return Array.from({ length: 4 }, () =>
    random() < likely
      ? pick<Fault>(random, ...FAULTS)
      : pick<Fault>(random, 'ok', 'ok', 'ok', 'slow'),
  );
}

function planSecond(random: () => number, likely: number): SecondPlan | null {
  if (random() >= likely) return null;
  return { faults: faults(random, 0.35), attempts: pick(random, 1, 1, 2, 6) };
}

function planStep(
  random: () => number,
  before: readonly string[],
  pivot: boolean,
  likely: number,
): StepPlan {
  const kind = pick<StepPlan['kind']>(random, 'local', 'local', 'transactional', 'command');
  return {
    kind,
    pivot,
    faults: faults(random, likely),
    undo: pivot ? null : planSecond(random, 0.7),
    recover: pivot ? null : planSecond(random, 0.6),
    dependsOn: before.filter(() => random() < 0.4),
  };
}

/**
 * A graph of two to seven steps with up to two pivots, and what goes wrong in each. A third of them begin
 * with a pivot that is done at once: most of what can go wrong behind one would else be seldom reached.
 */
export function planSaga(random: () => number): SagaPlan {
  const steps = new Map<string, StepPlan>();
  const size = 2 + Math.floor(random() * 6);
  const pivots = new Set<number>();
  const behind = random() < 0.35;
  if (!behind && random() < 0.5) pivots.add(Math.floor(random() * size));
  if (random() < 0.25) pivots.add(Math.floor(random() * size));
  for (let at = 0; at < size; at += 1) {
    const step = planStep(random, [...steps.keys()], pivots.has(at), behind ? 0.5 : 0.3);
    steps.set(nameAt(at), behind ? behindPivot(step, at) : step);
  }
  return {
    steps,
    strategy: pick(random, 'fail-fast', 'wait-all', 'fail-fast-with-grace'),
    deadlineMs: random() < 0.25 ? 2_000 + Math.floor(random() * 40_000) : null,
    maxCrashes: 4,
  };
}

function behindPivot(step: StepPlan, at: number): StepPlan {
  const none = { undo: null, recover: null, faults: [], pivot: true } as const;
  if (at === 0) return { kind: 'local', dependsOn: [], ...none };
  return { ...step, dependsOn: [...new Set([nameAt(0), ...step.dependsOn])] };
}

/** A saga without faults: it has to complete whatever happens to the other sagas. */
export function bystander(): SagaPlan {
  const steps = new Map<string, StepPlan>();
  for (let at = 0; at < 3; at += 1) {
    const dependsOn = at === 0 ? [] : [nameAt(at - 1)];
    const none = { undo: null, recover: null, faults: [], pivot: false };
    steps.set(nameAt(at), { kind: 'local', dependsOn, ...none });
  }
  // It causes no death, however often it runs in a process that dies.
  return { steps, strategy: 'fail-fast', deadlineMs: null, maxCrashes: 50 };
}

function nameAt(at: number): string {
  return String.fromCharCode(97 + at);
}

/** A plan as a person reads it. */
export function describeSaga({ steps, strategy, deadlineMs }: SagaPlan): string {
  const lines = [...steps].map(([name, plan]) => {
    const second = (what: string, one: SecondPlan | null): string =>
      one === null ? '' : ` ${what}(${one.attempts}) ${one.faults.join('/')}`;
    const pivot = plan.pivot ? ' PIVOT' : '';
    const more = `${second('undo', plan.undo)}${second('recover', plan.recover)}`;
    return `  ${name}(${plan.dependsOn.join(',')}) ${plan.kind}${pivot} ${plan.faults.join('/')}${more}`;
  });
  const deadline = deadlineMs === null ? '' : `, deadline ${deadlineMs} ms`;
  return [`${strategy}${deadline}`, ...lines].join('\n');
}
