import {
  assertAwaitable,
  copyOf,
  mayMakeCommands,
  withMadeCommands,
} from '../../messaging/index.js';
import {
  resolveArguments,
  StepResultMissingError,
  type ArgumentValues,
  type StepContext,
} from '../../saga/index.js';
import { methodOf } from '../decide/index.js';
import { UnreturnedCommandError } from '../errors.js';
import { taskKeyOf } from '../journal/index.js';
import type { Attempt } from './attempt.js';
import { resultsOf } from './attempt-outputs.js';

/** Calls the method of the saga class that an attempt is for. */
export async function callMethod(attempt: Attempt, transactionManager: unknown): Promise<unknown> {
  const { run, start, engine } = attempt;
  const { definition, id } = run;
  const step = definition.steps.get(start.step);
  const method = step === undefined ? null : methodOf(step, start.role);
  if (method === null)
    throw new TypeError(`${definition.name} has no ${start.role} '${start.step}'.`);
  const values = new CallValues(attempt, transactionManager);
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
  const invoke = (): unknown => {
    const returned: unknown = Reflect.apply(callable, instance, resolveArguments(method, values));
    assertAwaitable(returned);
    return returned;
  };
  const { facts } = engine;
  const call = (): unknown =>
    engine.runInContext(fields, (): unknown =>
      facts.wraps ? facts.run(attempt.teller.beginning, async () => await invoke()) : invoke(),
    );
  if (!mayMakeCommands()) return await call();
  const { value, made } = await withMadeCommands(call);
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

/**
 * The values of one call. Each is made when the method takes it, because most methods take few of them.
 * They are getters of a class, because those of an object literal are made anew for each object.
 */
class CallValues implements ArgumentValues {
  readonly #attempt: Attempt;
  #results: ArgumentValues['results'] | null = null;

  constructor(
    attempt: Attempt,
    readonly transactionManager: unknown,
  ) {
    this.#attempt = attempt;
  }

  /** A copy for this attempt alone, so that attempts and methods share no values. */
  get input(): unknown {
    return copyOf(this.#attempt.run.state.input);
  }

  get results(): ArgumentValues['results'] {
    const { run, textOf } = this.#attempt;
    return (this.#results ??= resultsOf(() => run.state, textOf));
  }

  get context(): StepContext {
    const attempt = this.#attempt;
    const { run, start } = attempt;
    const { results } = this;
    return {
      sagaId: run.id,
      saga: run.definition.name,
      step: start.step,
      attempt: start.attempt,
      idempotencyKey: taskKeyOf(run.id, start),
      get signal() {
        return attempt.signal;
      },
      deadline: run.deadlineAt === null ? null : new Date(run.deadlineAt),
      result: (name: string): never => {
        if (!results.has(name)) throw new StepResultMissingError(name, start.step);
        return results.get(name) as never;
      },
    };
  }
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
