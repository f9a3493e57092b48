import type { CompensationOptions, SagaOptions, StepOptions } from './options.js';
import { markSaga, metadataOf } from './metadata.js';
import type { AnySaga, Method, SagaOutputOf, StepOutput } from './saga-of.js';
import type { ResultProblem } from './storable.js';

/** A saga class as the decorator takes it. */
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
 * Makes a class a saga. It stays an ordinary provider with its own dependencies.
 *
 * What is wrong in the options is reported with everything else when the definition is built.
 */
export function Saga<const Output extends string = never>(options: SagaOptions<Output>) {
  return <C extends Constructor<object>>(target: C & OutputCheck<NoInfer<C>, Output>): void => {
    markSaga(target, options);
  };
}

/** Makes a method a step. Its name is the method's name. */
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
 * Makes a method the compensation of a step. It must bear that the step never happened, and that it
 * is called again: it runs whenever the step may have had an effect.
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
 * Makes a method the way forward when a step behind a completed pivot has failed for good. What it
 * returns takes the place of the step's result.
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
