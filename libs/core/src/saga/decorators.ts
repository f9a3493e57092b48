import type { CompensationOptions, SagaOptions, StepOptions } from './options.js';
import { markSaga, metadataOf } from './metadata.js';
import type { AnySaga, Method, SagaOutputOf, StepOutput } from './saga-of.js';
import type { ResultProblem } from './storable.js';

/** The type of a saga class, as `@Saga` takes it. */
type Constructor<T> = abstract new (...args: never[]) => T;

type OutputCheck<C, Output extends string> =
  C extends Constructor<infer T>
    ? T extends AnySaga
      ? [Output] extends [never]
        ? [undefined] extends [SagaOutputOf<T>]
          ? C
          : 'this saga has an output: name the step that yields it, output: …'
        : Output extends keyof T
          ? [StepOutput<T[Output]>] extends [SagaOutputOf<T>]
            ? C
            : `the result of step '${Output}' is not the output of this saga`
          : `the output '${Output}' is no step of this saga`
      : 'a saga class extends SagaOf<Input, Output>'
    : never;

/**
 * Makes a class a saga. The class stays an ordinary provider with its own dependencies.
 *
 * Wrong options are reported together with all other problems when the definition is built.
 */
export function Saga<const Output extends string = never>(options: SagaOptions<Output>) {
  return <C extends Constructor<object>>(target: C & OutputCheck<NoInfer<C>, Output>): void => {
    markSaga(target, options);
  };
}

/** Makes a method a step. The name of the step is the name of the method. */
export function SagaStep<const Dependency extends string = never>(
  options: StepOptions<Dependency> = {},
) {
  return <T extends Record<Dependency, Method>, K extends keyof T & string>(
    target: T,
    key: K extends Dependency
      ? 'a step cannot depend on itself'
      : [ResultProblem<T[K]>] extends [never]
        ? K
        : ResultProblem<T[K]>,
    _descriptor: PropertyDescriptor,
  ): void => {
    metadataOf(target, key).steps.push(options);
  };
}

/**
 * Makes a method the compensation of a step. It runs whenever the step may have had an effect, so it
 * must be safe to run when the step never happened, and to run twice.
 */
export function Compensate<const Step extends string>(
  step: Step,
  options: CompensationOptions = {},
) {
  return <T extends Record<Step, Method>, K extends keyof T & string>(
    target: T,
    key: K extends Step
      ? 'a step cannot compensate itself'
      : [ResultProblem<T[K]>] extends [never]
        ? K
        : ResultProblem<T[K]>,
    _descriptor: PropertyDescriptor,
  ): void => {
    metadataOf(target, key).compensates.push({ step, options });
  };
}

/**
 * Makes a method the forward recovery of a step: it runs when the step has failed for good after a
 * completed pivot. Its result replaces the result of the step.
 */
export function ForwardRecovery<const Step extends string>(
  step: Step,
  options: CompensationOptions = {},
) {
  return <T extends Record<Step, Method>, K extends keyof T & string>(
    target: T,
    key: K extends Step
      ? 'a step cannot recover itself'
      : T[K] extends Method
        ? [StepOutput<T[K]>] extends [StepOutput<T[Step]>]
          ? [ResultProblem<T[K]>] extends [never]
            ? K
            : ResultProblem<T[K]>
          : `what this returns cannot stand in for the result of step '${Step}'`
        : never,
    _descriptor: PropertyDescriptor,
  ): void => {
    metadataOf(target, key).recovers.push({ step, options });
  };
}
