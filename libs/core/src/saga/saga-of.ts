import type { Command } from '../messaging/index.js';

/** Carries types that exist for the compiler only. */
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

/** Whatever saga. */
export type AnySaga = SagaOf<unknown, unknown>;

/** The input of a saga (of its instance type). */
export type SagaInputOf<S> = S extends SagaOf<infer Input, unknown> ? Input : never;

/** The output of a saga (of its instance type). */
export type SagaOutputOf<S> = S extends SagaOf<unknown, infer Output> ? Output : never;

/** A method, as the checks of the decorators see it. */
export type Method = (...args: never[]) => unknown;

type ResultOf<Returned> = Returned extends Command<infer Reply> ? Reply : Returned;

/** What a step yields: what its method resolves to, or the reply when that is a command. */
export type StepOutput<M> = M extends (...args: never[]) => infer Returned
  ? ResultOf<Awaited<Returned>>
  : never;
