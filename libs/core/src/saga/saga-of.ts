import type { Command } from '../messaging/index.js';

/** Carries types for the compiler; it does not exist at run time. */
declare const TYPES: unique symbol;

/**
 * Base of saga classes: links the class to the type of its input and of its output. It has no code.
 *
 * ```ts
 * @Saga({ name: 'place-order', output: 'confirm' })
 * export class PlaceOrderSaga extends SagaOf<PlaceOrder, Confirmed> { … }
 * ```
 */
export abstract class SagaOf<Input, Output = void> {
  declare readonly [TYPES]: { readonly input: Input; readonly output: Output };
}

/** Any saga. */
export type AnySaga = SagaOf<unknown, unknown>;

/** The input of a saga, by the type of its instance. */
export type SagaInputOf<S> = S extends SagaOf<infer Input, unknown> ? Input : never;

/** The output of a saga, by the type of its instance. */
export type SagaOutputOf<S> = S extends SagaOf<unknown, infer Output> ? Output : never;

/** A method, for the type checks of the decorators. */
export type Method = (...args: never[]) => unknown;

type ResultOf<Returned> = Returned extends Command<infer Reply> ? Reply : Returned;

/** The result of a step: the value its method resolves to, or the reply if that value is a command. */
export type StepOutput<M> = M extends (...args: never[]) => infer Returned
  ? ResultOf<Awaited<Returned>>
  : never;
