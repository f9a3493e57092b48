import { parseTimeLimit, type RetryPolicy } from '../retry/index.js';
import type {
  ArgumentSource,
  CompensationDefinition,
  FailureStrategy,
  SagaDefinition,
  StepContext,
  StepDefinition,
} from '../saga/index.js';
import { freshName } from './contract-case.js';

/** One call of a programmed step, compensation or recovery. */
export interface Call {
  readonly role: 'step' | 'compensation' | 'recovery';
  readonly input: unknown;
  readonly context: StepContext;
  readonly manager: unknown;
}

export type Behaviour = (call: Call) => unknown;

export interface ProgramStep {
  readonly dependsOn?: readonly string[];
  /** Default: the result is the step's name. */
  readonly run?: Behaviour;
  /** True means a compensation that does nothing; absent means none. */
  readonly undo?: Behaviour | true;
  readonly recover?: Behaviour;
  readonly retry?: Partial<RetryPolicy>;
  readonly undoRetry?: Partial<RetryPolicy>;
  /** Default: `undoRetry`. */
  readonly recoverRetry?: Partial<RetryPolicy>;
  /** The time limit of one attempt. Default: that of a decorated step; `false` means none. */
  readonly timeoutMs?: number | false;
  readonly replyTimeoutMs?: number;
  readonly pivot?: boolean;
  readonly transactional?: boolean;
  readonly transactionalUndo?: boolean;
}

export interface ProgramOptions {
  readonly name?: string;
  readonly version?: number;
  readonly output?: string;
  readonly deadlineMs?: number;
  readonly failureStrategy?: FailureStrategy;
  readonly graceMs?: number;
  readonly maxCrashes?: number;
  readonly steps: Readonly<Record<string, ProgramStep>>;
}

const NO_RETRY: RetryPolicy = { attempts: 1, backoffMs: 0, factor: 1, maxDelayMs: 0, jitter: 0 };
const ARGUMENTS: readonly ArgumentSource[] = [
  { kind: 'context' },
  { kind: 'input' },
  { kind: 'transaction_manager' },
];

/** A saga written as data: for tests of engines and stores, and for generated ones. */
export class Program {
  readonly definition: SagaDefinition;
  /** The calls, in order: `step a`, `compensation a`. */
  readonly calls: string[] = [];
  readonly #behaviours = new Map<string, Behaviour>();

  constructor(options: ProgramOptions) {
    const names = Object.keys(options.steps);
    const steps = new Map<string, StepDefinition>();
    for (const name of names) {
      const given = options.steps[name];
      if (given !== undefined) steps.set(name, this.#step(name, given, options, steps));
    }
    this.definition = {
      name: options.name ?? freshName('program'),
      version: options.version ?? 1,
      sagaClass: ProgrammedSaga,
      connection: undefined,
      steps,
      output: options.output ?? null,
      deadlineMs: options.deadlineMs ?? null,
      failureStrategy: options.failureStrategy ?? 'fail-fast',
      graceMs: options.graceMs ?? 0,
      maxCrashes: options.maxCrashes ?? 3,
    };
  }

  /** The object whose methods an engine calls. `alive` ends the methods together with their process. */
  instance(alive: () => boolean = () => true): object {
    const methods: Record<string, unknown> = {};
    for (const [method, behaviour] of this.#behaviours) {
      methods[method] = async (
        context: StepContext,
        input: unknown,
        manager: unknown,
      ): Promise<unknown> => {
        const [role] = method.split(' ');
        this.calls.push(method);
        try {
          return await behaviour({
            role: role === 'compensation' || role === 'recovery' ? role : 'step',
            input,
            context,
            manager,
          });
        } finally {
          // The result of a call that a process had begun before it died is lost.
          if (!alive()) await new Promise<never>(() => undefined);
        }
      };
    }
    return methods;
  }

  #step(
    name: string,
    given: ProgramStep,
    options: ProgramOptions,
    before: ReadonlyMap<string, StepDefinition>,
  ): StepDefinition {
    const dependsOn = given.dependsOn ?? [];
    const ancestors = new Set<string>();
    for (const parent of dependsOn) {
      const known = before.get(parent);
      if (known === undefined)
        throw new TypeError(`Steps come after what they depend on: ${parent}.`);
      ancestors.add(parent);
      for (const ancestor of known.ancestors) ancestors.add(ancestor);
    }
    const dependents = Object.entries(options.steps)
      .filter(([, other]) => other.dependsOn?.includes(name) === true)
      .map(([other]) => other);
    const method = (role: string, behaviour: Behaviour | undefined): string => {
      this.#behaviours.set(`${role} ${name}`, behaviour ?? (() => name));
      return `${role} ${name}`;
    };
    return {
      name,
      method: method('step', given.run),
      arguments: ARGUMENTS,
      dependsOn,
      ancestors,
      dependents,
      transactional: given.transactional ?? false,
      pivot: given.pivot ?? false,
      retry: { ...NO_RETRY, ...given.retry },
      timeoutMs: parseTimeLimit(given.timeoutMs),
      replyTimeoutMs: given.replyTimeoutMs ?? 60_000,
      compensation:
        given.undo === undefined
          ? null
          : this.#second(
              method('compensation', given.undo === true ? undefined : given.undo),
              given,
            ),
      forwardRecovery:
        given.recover === undefined
          ? null
          : this.#second(method('recovery', given.recover), {
              ...given,
              undoRetry: given.recoverRetry ?? given.undoRetry ?? {},
            }),
    };
  }

  #second(method: string, given: ProgramStep): CompensationDefinition {
    return {
      method,
      arguments: ARGUMENTS,
      retry: { ...NO_RETRY, ...given.undoRetry },
      timeoutMs: parseTimeLimit(given.timeoutMs),
      replyTimeoutMs: given.replyTimeoutMs ?? 60_000,
      transactional: given.transactionalUndo ?? false,
    };
  }
}

/** Takes the place of a decorated class. */
class ProgrammedSaga {
  readonly programmed = true;
}
