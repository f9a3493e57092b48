import { componentsOf, cycleIn, levelsOf } from './graph.js';
import type { Graph } from './graph.js';
import type { Problems } from './problems.js';
import type { StepDefinition, StepMethod } from './saga-definition.js';

/**
 * Checks that every dependency exists and that the steps form one saga without circles; returns
 * whether they do.
 */
export function checkGraph(graph: Graph, problems: Problems): boolean {
  let sound = true;
  for (const [name, dependencies] of graph) {
    for (const dependency of dependencies) {
      if (graph.has(dependency)) continue;
      sound = false;
      problems.add(
        name,
        `It depends on '${dependency}', which is no step of this saga.`,
        `Name one of: ${[...graph.keys()].filter((other) => other !== name).join(', ')}.`,
      );
    }
  }
  const cycle = cycleIn(graph);
  if (cycle !== undefined) {
    sound = false;
    problems.add(
      cycle[0] ?? null,
      `It waits for itself: ${cycle.join(' → ')}, each depending on the next.`,
      'Take one of these dependencies out.',
    );
  }
  const components = componentsOf(graph);
  if (sound && components.length > 1) {
    sound = false;
    problems.add(
      null,
      `Its steps fall into parts that have nothing to do with each other: ${components
        .map((part) => `[${part.join(', ')}]`)
        .join(' and ')}.`,
      'Join them by dependsOn, if need be in a last step, or make them sagas of their own.',
    );
  }
  return sound;
}

/** Reports pivots that can never be reached, because of a circle or a missing step. */
export function checkReachablePivots(
  graph: Graph,
  steps: readonly { readonly name: string; readonly pivot: boolean }[],
  problems: Problems,
): void {
  const reachable = new Set(levelsOf(graph).flat());
  for (const { name, pivot } of steps) {
    if (!pivot || reachable.has(name)) continue;
    problems.add(
      name,
      'It is a pivot that can never be reached: what it depends on can never be complete.',
      'Repair its dependencies first.',
    );
  }
}

/**
 * Reports pivots on separate branches, and compensations and recoveries that a pivot keeps from ever
 * running.
 */
export function checkPivots(steps: ReadonlyMap<string, StepDefinition>, problems: Problems): void {
  const pivots = [...steps.values()].filter(({ pivot }) => pivot);
  for (const [index, pivot] of pivots.entries()) {
    for (const other of pivots.slice(index + 1)) {
      if (pivot.ancestors.has(other.name) || other.ancestors.has(pivot.name)) continue;
      problems.add(
        other.name,
        `It is a pivot on another branch than the pivot '${pivot.name}': one could be passed while the other fails, and then there is neither a way back nor forward.`,
        `Let one depend on the other, or make a single step that depends on both the pivot.`,
      );
    }
  }
  for (const step of steps.values()) {
    const behind = pivots.find(({ name }) => step.ancestors.has(name));
    const { compensation, forwardRecovery } = step;
    if (compensation !== null && step.pivot) {
      problems.add(
        compensation.method,
        `It can never run: '${step.name}' is a pivot, and a pivot is never undone.`,
        'Remove the compensation, or the pivot.',
      );
    } else if (compensation !== null && behind !== undefined) {
      problems.add(
        compensation.method,
        `It can never run: '${step.name}' comes after the pivot '${behind.name}', behind which nothing is undone.`,
        `Remove it, or use @ForwardRecovery('${step.name}').`,
      );
    }
    if (forwardRecovery !== null && behind === undefined) {
      problems.add(
        forwardRecovery.method,
        `It can never run: '${step.name}' depends on no pivot, so its failure is compensated.`,
        `Use @Compensate('${step.name}'), or let '${step.name}' depend on a pivot.`,
      );
    }
  }
}

function checkResults(
  { method, arguments: from }: StepMethod,
  step: StepDefinition,
  role: 'step' | 'compensation' | 'recovery',
  steps: ReadonlyMap<string, StepDefinition>,
  problems: Problems,
): void {
  for (const source of from) {
    if (source.kind !== 'result' && source.kind !== 'result_if_any') continue;
    const decorator = source.kind === 'result' ? 'StepResult' : 'ResultIfAny';
    if (!steps.has(source.step)) {
      problems.add(
        method,
        `@${decorator}('${source.step}') names no step of this saga.`,
        `Name one of: ${[...steps.keys()].join(', ')}.`,
      );
    } else if (role === 'compensation') {
      if (source.kind === 'result') {
        problems.add(
          method,
          `@StepResult('${source.step}') in a compensation: it also runs when that step has no result.`,
          `Use @ResultIfAny('${source.step}') and let the parameter be undefined.`,
        );
      }
    } else if (
      !step.ancestors.has(source.step) &&
      !(role === 'recovery' && source.kind === 'result_if_any')
    ) {
      problems.add(
        method,
        `@${decorator}('${source.step}'), but '${step.name}' does not depend on '${source.step}', so it may run first.`,
        `Add '${source.step}' to the dependsOn of '${step.name}'.`,
      );
    }
  }
}

/** Reports values that a step or its compensation asks for and that may be missing when it runs. */
export function checkArguments(
  step: StepDefinition,
  steps: ReadonlyMap<string, StepDefinition>,
  problems: Problems,
): void {
  checkResults(step, step, 'step', steps, problems);
  if (step.compensation !== null)
    checkResults(step.compensation, step, 'compensation', steps, problems);
  if (step.forwardRecovery !== null)
    checkResults(step.forwardRecovery, step, 'recovery', steps, problems);
  for (const { method, arguments: from, transactional } of [
    step,
    step.compensation,
    step.forwardRecovery,
  ].filter((part) => part !== null)) {
    if (!transactional && from.some(({ kind }) => kind === 'transaction_manager')) {
      problems.add(
        method,
        '@TransactionManager() in a method that has no transaction.',
        'Add transactional: true to its options.',
      );
    }
  }
}
