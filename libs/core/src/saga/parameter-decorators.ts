import { metadataOf } from './metadata.js';
import type { ArgumentSource } from './saga-definition.js';
import type { AnySaga, Method, SagaInputOf, StepOutput } from './saga-of.js';
import type { StepContext as Context } from './step-context.js';

/** The type of a parameter, by its position. */
type ParameterOf<T, K extends keyof T, I extends number> = T[K] extends (
  ...args: infer Parameters
) => unknown
  ? Parameters[I]
  : never;

function record(target: object, key: string, index: number, source: ArgumentSource): void {
  metadataOf(target, key).parameters.push({ index, source });
}

/** Injects the saga's input. */
export function SagaInput() {
  return <T extends AnySaga, K extends keyof T & string, I extends number>(
    target: T,
    key: K,
    index: [SagaInputOf<T>] extends [ParameterOf<T, K, I>]
      ? I
      : 'the input of the saga does not fit this parameter',
  ): void => {
    record(target, key, index as number, { kind: 'input' });
  };
}

/**
 * Injects the result of a step that this one depends on, directly or not. Compensations cannot use it.
 */
export function StepResult<const Step extends string>(step: Step) {
  return <T extends Record<Step, Method>, K extends keyof T & string, I extends number>(
    target: T,
    key: K,
    index: [StepOutput<T[Step]>] extends [ParameterOf<T, K, I>]
      ? I
      : `the result of step '${Step}' does not fit this parameter`,
  ): void => {
    record(target, key, index as number, { kind: 'result', step });
  };
}

/**
 * Injects the result of a step, or undefined if there is none: a compensation also runs when it is
 * unknown whether its step was carried out.
 */
export function ResultIfAny<const Step extends string>(step: Step) {
  return <T extends Record<Step, Method>, K extends keyof T & string, I extends number>(
    target: T,
    key: K,
    index: [undefined] extends [ParameterOf<T, K, I>]
      ? [StepOutput<T[Step]>] extends [ParameterOf<T, K, I>]
        ? I
        : `the result of step '${Step}' does not fit this parameter`
      : `step '${Step}' may have no result: this parameter must admit undefined`,
  ): void => {
    record(target, key, index as number, { kind: 'result_if_any', step });
  };
}

/** Injects a text that is the same for every attempt of the step and for its compensation. */
export function IdempotencyKey() {
  return <T extends object, K extends keyof T & string, I extends number>(
    target: T,
    key: K,
    index: [string] extends [ParameterOf<T, K, I>] ? I : 'the idempotency key is a string',
  ): void => {
    record(target, key, index as number, { kind: 'idempotency_key' });
  };
}

/** Injects information about the step's own run; declare the parameter as `StepContext<YourSaga>`. */
export function StepContext() {
  return <T extends object, K extends keyof T & string, I extends number>(
    target: T,
    key: K,
    index: [Context<T>] extends [ParameterOf<T, K, I>]
      ? I
      : 'the context of a step is a StepContext of this saga',
  ): void => {
    record(target, key, index as number, { kind: 'context' });
  };
}

/** The type of the injected value; it has the same name as the decorator. */
export type StepContext<S extends object = object> = Context<S>;

/**
 * Injects the entity manager (or client) of the transaction of a transactional step. It is rarely
 * needed, because repositories join the transaction by themselves.
 */
export function TransactionManager() {
  return <T extends object, K extends keyof T & string>(target: T, key: K, index: number): void => {
    record(target, key, index, { kind: 'transaction_manager' });
  };
}
