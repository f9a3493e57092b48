import type { SagaDefinition } from './saga-definition.js';

/** For each step to be undone, the steps that must have been undone before it. */
export type CompensationOrder = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The order of compensation: the reverse topological order, as a graph, so that branches are undone in
 * parallel. A step waits for the nearest steps after it that are undone too. The order passes through
 * steps that have no compensation or are not among those given (in A → B → C where B has none, C is
 * undone before A).
 *
 * @param steps - the steps whose effect must be undone: completed, or of unknown outcome. The result
 *   leaves out those that have no compensation.
 */
export function compensationOrder(
  definition: SagaDefinition,
  steps: Iterable<string>,
): CompensationOrder {
  const undone = new Set(
    [...steps].filter((name) => (definition.steps.get(name)?.compensation ?? null) !== null),
  );
  // The latest steps come first, so that the steps after a step are known when it is reached.
  const nearest = new Map<string, ReadonlySet<string>>();
  for (const step of [...definition.steps.values()].reverse()) {
    const before = new Set<string>();
    for (const dependent of step.dependents) {
      if (undone.has(dependent)) before.add(dependent);
      else for (const name of nearest.get(dependent) ?? []) before.add(name);
    }
    nearest.set(step.name, before);
  }
  return new Map([...nearest].filter(([name]) => undone.has(name)));
}

/** The steps that are never undone: completed pivots and all steps that they depend on. */
export function committedSteps(
  definition: SagaDefinition,
  completed: Iterable<string>,
): ReadonlySet<string> {
  const committed = new Set<string>();
  for (const name of completed) {
    const step = definition.steps.get(name);
    if (step?.pivot !== true) continue;
    committed.add(name);
    for (const ancestor of step.ancestors) committed.add(ancestor);
  }
  return committed;
}
