import { SagazError } from '../errors/index.js';
import { committedSteps, compensationOrder } from './compensation-order.js';
import { levelsOf } from './graph.js';
import type { SagaDefinition } from './saga-definition.js';

export interface DryRunOptions {
  /** The step that fails for good. Default: none fails. */
  readonly fail?: string;
  /** Whether the failing step may have had its effect, so that it is undone too. Default false. */
  readonly effectUnknown?: boolean;
}

/** The course of a saga, found without running it. */
export interface DryRun {
  /** The steps that complete; those of one level can run in parallel. */
  readonly levels: readonly (readonly string[])[];
  readonly failed: string | null;
  /** The forward recovery that replaces the failed step; null if there is none. */
  readonly recoveredBy: string | null;
  /** The steps that never start. */
  readonly skipped: readonly string[];
  /** The steps that are undone; those of one level are undone in parallel. */
  readonly compensations: readonly (readonly string[])[];
  readonly outcome: 'completed' | 'compensated' | 'partially_committed';
}

/** The step that was named does not exist in the saga. */
export class UnknownStepError extends SagazError {
  readonly code = 'SAGAZ_UNKNOWN_STEP';

  constructor(
    readonly saga: string,
    readonly step: string,
    steps: Iterable<string>,
  ) {
    super(`The saga '${saga}' has no step '${step}'.`, `Name one of: ${[...steps].join(', ')}.`);
  }
}

/**
 * Returns the order in which a saga would run, and with `fail` the steps that would be undone, in the
 * largest case: every step that does not depend on the failing one has completed before.
 *
 * @throws UnknownStepError
 */
export function dryRun(definition: SagaDefinition, options: DryRunOptions = {}): DryRun {
  const { steps } = definition;
  const levels = levelsOf(new Map([...steps].map(([name, step]) => [name, step.dependsOn])));
  const failing = options.fail === undefined ? undefined : steps.get(options.fail);
  if (options.fail !== undefined && failing === undefined) {
    throw new UnknownStepError(definition.name, options.fail, steps.keys());
  }
  const all = { levels, failed: null, recoveredBy: null, skipped: [], compensations: [] };
  if (failing === undefined) return { ...all, outcome: 'completed' };
  const failed = failing.name;
  // A step that has a recovery depends on a pivot, which is complete by then.
  if (failing.forwardRecovery !== null) {
    return { ...all, failed, recoveredBy: failing.forwardRecovery.method, outcome: 'completed' };
  }
  const runs = [...steps.values()].filter(
    ({ name, ancestors }) => name !== failed && !ancestors.has(failed),
  );
  const completed = new Set(runs.map(({ name }) => name));
  const committed = committedSteps(definition, completed);
  const effects = options.effectUnknown === true ? [...completed, failed] : [...completed];
  const order = compensationOrder(
    definition,
    effects.filter((name) => !committed.has(name)),
  );
  return {
    levels: levels
      .map((level) => level.filter((name) => completed.has(name)))
      .filter((level) => level.length > 0),
    failed,
    recoveredBy: null,
    skipped: [...steps.values()]
      .filter((step) => step.ancestors.has(failed))
      .map(({ name }) => name),
    compensations: levelsOf(new Map([...order].map(([name, before]) => [name, [...before]]))),
    outcome: committed.size > 0 ? 'partially_committed' : 'compensated',
  };
}
