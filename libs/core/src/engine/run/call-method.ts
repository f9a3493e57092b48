import { assertAwaitable, copyOf, withMadeCommands } from '../../messaging/index.js';
import { resolveArguments, StepResultMissingError } from '../../saga/index.js';
import { methodOf } from '../decide/index.js';
import { UnreturnedCommandError } from '../errors.js';
import { taskKeyOf } from '../journal/index.js';
import type { SagaState } from '../state/index.js';
import type { Attempt } from './attempt.js';

/** Calls the method of the saga class that an attempt is for. */
export async function callMethod(attempt: Attempt, transactionManager: unknown): Promise<unknown> {
  const { run, start, engine } = attempt;
  const { definition, id } = run;
  const step = definition.steps.get(start.step);
  const method = step === undefined ? null : methodOf(step, start.role);
  if (method === null)
    throw new TypeError(`${definition.name} has no ${start.role} '${start.step}'.`);
  const results = resultsOf(run.state);
  const values = {
    /**
     * A copy for this attempt alone, made only if it is used, so that attempts and methods share no
     * values.
     */
    get input(): unknown {
      return copyOf(run.state.input);
    },
    results,
    context: {
      sagaId: id,
      saga: definition.name,
      step: start.step,
      attempt: start.attempt,
      idempotencyKey: taskKeyOf(id, start, start.generation),
      get signal() {
        return attempt.signal;
      },
      deadline: run.deadlineAt === null ? null : new Date(run.deadlineAt),
      result: (name: string): never => {
        if (!results.has(name)) throw new StepResultMissingError(name, start.step);
        return results.get(name) as never;
      },
    },
    transactionManager,
  };
  const instance: object = engine.resolve(definition);
  const callable: unknown = Reflect.get(instance, method.method);
  if (typeof callable !== 'function') {
    throw new TypeError(`${definition.sagaClass.name} has no method '${method.method}'.`);
  }
  const fields = {
    ...run.state.trace,
    sagaId: id,
    saga: definition.name,
    step: start.step,
    attempt: start.attempt,
  };
  const { value, made } = await withMadeCommands((): unknown =>
    engine.runInContext(fields, (): unknown => {
      const returned: unknown = Reflect.apply(callable, instance, resolveArguments(method, values));
      assertAwaitable(returned);
      return returned;
    }),
  );
  for (const command of made) {
    if (command === value) continue;
    throw new UnreturnedCommandError(
      definition.name,
      start.step,
      start.role,
      command.contract.type,
      holds(value, command),
    );
  }
  return value;
}

/** Whether a command is among the members of a value; false if the value cannot be read. */
function holds(value: unknown, command: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return Object.values(value).includes(command);
  } catch {
    return false;
  }
}

/** The results of the steps so far. Each call of `get` returns a copy that belongs to the caller. */
function resultsOf(state: SagaState): Pick<ReadonlyMap<string, unknown>, 'has' | 'get'> {
  const results = new Map<string, unknown>();
  for (const [step, roles] of state.steps) {
    if (roles.step.status === 'done') results.set(step, roles.step.output);
    else if (roles.recovery.status === 'done') results.set(step, roles.recovery.output);
  }
  return { has: (step) => results.has(step), get: (step) => copyOf(results.get(step)) };
}
