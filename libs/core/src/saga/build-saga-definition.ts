import { valueText } from '../errors/index.js';
import { parseDuration } from '../retry/index.js';
import { frozenMap, frozenSet } from './frozen-collections.js';
import { ancestorsIn, dependentsIn, topologicalOrder } from './graph.js';
import type { Graph } from './graph.js';
import { InvalidSagaDefinitionError } from './invalid-saga-definition.error.js';
import { sagaOptionsOf } from './metadata.js';
import type { SagaOptions } from './options.js';
import { Problems } from './problems.js';
import { readMethods } from './read-methods.js';
import type { CompensationDraft, MethodDrafts } from './read-methods.js';
import type {
  CompensationDefinition,
  SagaClass,
  SagaDefinition,
  StepDefinition,
} from './saga-definition.js';
import { checkArguments, checkGraph, checkPivots, checkReachablePivots } from './check-steps.js';

const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_MAX_CRASHES = 3;
const STRATEGIES: readonly unknown[] = ['fail-fast', 'wait-all', 'fail-fast-with-grace'];
const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,99}$/;

type Header = Pick<
  SagaDefinition,
  | 'name'
  | 'version'
  | 'connection'
  | 'deadlineMs'
  | 'failureStrategy'
  | 'graceMs'
  | 'maxCrashes'
  | 'output'
>;

const OPTIONS: readonly string[] = [
  'name',
  'version',
  'output',
  'connection',
  'deadline',
  'failureStrategy',
  'grace',
  'maxCrashes',
] satisfies readonly (keyof SagaOptions)[];

function readHeader(given: SagaOptions, problems: Problems): Header {
  const options: SagaOptions = problems.only(null, given, OPTIONS) ? given : { name: '' };
  const {
    name,
    version = 1,
    failureStrategy = 'fail-fast',
    maxCrashes = DEFAULT_MAX_CRASHES,
  } = options;
  if (typeof name !== 'string' || !NAME.test(name)) {
    problems.add(
      null,
      `@Saga({ name: ${valueText(name)} }) is no name of a saga.`,
      "Use at most 100 letters, digits, '.', '-' and '_', beginning with a letter, such as 'place-order'.",
    );
  }
  if (!Number.isInteger(version) || version < 1 || version > 2_147_483_647) {
    problems.add(
      null,
      `@Saga({ version: ${valueText(version)} }) is no version.`,
      'Use 1, 2, 3 and so on.',
    );
  }
  if (!STRATEGIES.includes(failureStrategy)) {
    problems.add(
      null,
      `@Saga({ failureStrategy: ${valueText(failureStrategy)} }) is unknown.`,
      "Use 'fail-fast', 'wait-all' or 'fail-fast-with-grace'.",
    );
  }
  if (!Number.isInteger(maxCrashes) || maxCrashes < 1) {
    problems.add(
      null,
      `@Saga({ maxCrashes: ${valueText(maxCrashes)} }) is no count.`,
      'Use a whole number of 1 or more.',
    );
  }
  const { grace, deadline, connection } = options;
  if (connection !== undefined && typeof connection !== 'string') {
    problems.add(
      null,
      `@Saga({ connection: ${valueText(connection)} }) is no name of a DataSource.`,
      'Give its name, or leave connection out.',
    );
  }
  if (grace !== undefined && failureStrategy !== 'fail-fast-with-grace') {
    problems.add(
      null,
      `@Saga({ grace }) means nothing to the failure strategy ${valueText(failureStrategy)}.`,
      "Add failureStrategy: 'fail-fast-with-grace', or leave grace out.",
    );
  }
  const deadlineMs =
    deadline === undefined
      ? null
      : problems.attempt(null, () => parseDuration(deadline, 'deadline'), null);
  if (deadlineMs === 0) {
    problems.add(null, 'deadline: 0 ms leaves no time at all.', 'Give it time, or leave it out.');
  }
  return {
    name,
    version,
    connection,
    output: options.output ?? null,
    failureStrategy,
    maxCrashes,
    graceMs:
      grace === undefined
        ? DEFAULT_GRACE_MS
        : problems.attempt(null, () => parseDuration(grace, 'grace'), DEFAULT_GRACE_MS),
    deadlineMs,
  };
}

function byStep(
  drafts: readonly CompensationDraft[],
  decorator: string,
  graph: Graph,
  problems: Problems,
): ReadonlyMap<string, CompensationDefinition> {
  const found = new Map<string, CompensationDefinition>();
  for (const { step, definition } of drafts) {
    const other = found.get(step);
    if (!graph.has(step)) {
      problems.add(
        definition.method,
        `@${decorator}(${valueText(step)}) names no step of this saga.`,
        `Name one of: ${[...graph.keys()].join(', ')}.`,
      );
    } else if (other !== undefined) {
      problems.add(
        definition.method,
        `@${decorator}(${valueText(step)}) is there twice: '${other.method}' has it too.`,
        'Keep one of them and call the other from it.',
      );
    } else {
      found.set(step, definition);
    }
  }
  return found;
}

function assemble(drafts: MethodDrafts, problems: Problems): ReadonlyMap<string, StepDefinition> {
  const graph: Graph = new Map(drafts.steps.map((step) => [step.name, step.dependsOn]));
  if (graph.size === 0) {
    problems.add(null, 'It has no step.', 'Decorate at least one method with @SagaStep().');
  }
  const compensations = byStep(drafts.compensations, 'Compensate', graph, problems);
  const recoveries = byStep(drafts.recoveries, 'ForwardRecovery', graph, problems);
  const sound = checkGraph(graph, problems);
  // In a graph with a circle or a missing step there are no ancestors, which all further checks need.
  if (!sound) {
    checkReachablePivots(graph, drafts.steps, problems);
    return new Map();
  }
  const dependents = dependentsIn(graph);
  const ancestors = ancestorsIn(graph);
  const byName = new Map(drafts.steps.map((step) => [step.name, step]));
  const steps = new Map<string, StepDefinition>();
  for (const name of topologicalOrder(graph)) {
    const draft = byName.get(name);
    if (draft === undefined) continue;
    steps.set(
      name,
      Object.freeze({
        ...draft,
        ancestors: frozenSet(ancestors.get(name) ?? []),
        dependents: Object.freeze([...(dependents.get(name) ?? [])]),
        compensation: compensations.get(name) ?? null,
        forwardRecovery: recoveries.get(name) ?? null,
      }),
    );
  }
  checkPivots(steps, problems);
  for (const step of steps.values()) checkArguments(step, steps, problems);
  return steps;
}

/**
 * Builds the definition of a decorated class, validates all of it, and freezes it.
 *
 * @throws InvalidSagaDefinitionError naming everything that is wrong
 */
export function buildSagaDefinition(sagaClass: SagaClass): SagaDefinition {
  const problems = new Problems();
  const options = sagaOptionsOf(sagaClass);
  if (options === undefined) {
    problems.add(
      null,
      'It is not decorated as a saga. (A decorator of its base class does not count: two sagas cannot have one name.)',
      "Decorate it with @Saga({ name: '…' }).",
    );
    throw new InvalidSagaDefinitionError(sagaClass.name, problems.found);
  }
  const header = readHeader(options, problems);
  const drafts = readMethods(sagaClass, problems);
  const steps = assemble(drafts, problems);
  const { output } = header;
  if (output !== null && !drafts.steps.some(({ name }) => name === output)) {
    problems.add(
      null,
      `@Saga({ output: ${valueText(output)} }) names no step of this saga.`,
      `Name one of: ${drafts.steps.map(({ name }) => name).join(', ')}.`,
    );
  }
  if (problems.found.length > 0) {
    throw new InvalidSagaDefinitionError(sagaClass.name, problems.found);
  }
  return Object.freeze({ ...header, sagaClass, steps: frozenMap(steps) });
}
