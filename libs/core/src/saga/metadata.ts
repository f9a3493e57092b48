import { InvalidSagaDefinitionError } from './invalid-saga-definition.error.js';
import type { CompensationOptions, SagaOptions, StepOptions } from './options.js';
import type { ArgumentSource } from './saga-definition.js';

// Registered symbols on the constructor: another installed copy of this package finds them too, and
// a decorator that replaces the method (such as one that opens a transaction) cannot lose them.
const SAGA = Symbol.for('sagaz.saga.options');
const METHODS = Symbol.for('sagaz.saga.methods');

/** The values that decorators recorded for one method, unchecked. */
export interface MethodMetadata {
  readonly steps: StepOptions[];
  readonly compensates: { readonly step: string; readonly options: CompensationOptions }[];
  readonly recovers: { readonly step: string; readonly options: CompensationOptions }[];
  readonly parameters: { readonly index: number; readonly source: ArgumentSource }[];
  /**
   * The largest number of parameters that was seen, because a wrapper that replaces the method later
   * may have none.
   */
  arity: number;
}

type Methods = Map<string, MethodMetadata>;

function own<T>(owner: object, symbol: symbol): T | undefined {
  // Inherited properties do not count, because a subclass must never write into metadata that it
  // inherits.
  const descriptor = Object.getOwnPropertyDescriptor(owner, symbol);
  return descriptor?.value as T | undefined;
}

function define(owner: object, symbol: symbol, value: unknown): void {
  Object.defineProperty(owner, symbol, { value, configurable: true });
}

/**
 * The metadata of a method, created when the method is first decorated.
 *
 * @throws InvalidSagaDefinitionError for a static method, at once: its metadata would have to live on
 *   the constructor that all classes share
 */
export function metadataOf(prototype: object, method: string): MethodMetadata {
  if (typeof prototype === 'function') {
    throw new InvalidSagaDefinitionError(prototype.name, [
      {
        method,
        problem: 'It is static, and a saga has an instance with its own dependencies.',
        remedy: "Remove 'static'.",
      },
    ]);
  }
  const owner = prototype.constructor;
  let methods = own<Methods>(owner, METHODS);
  if (methods === undefined) {
    methods = new Map();
    define(owner, METHODS, methods);
  }
  let metadata = methods.get(method);
  if (metadata === undefined) {
    metadata = { steps: [], compensates: [], recovers: [], parameters: [], arity: 0 };
    methods.set(method, metadata);
  }
  const descriptor = Object.getOwnPropertyDescriptor(prototype, method);
  const value: unknown = descriptor?.value;
  if (typeof value === 'function') metadata.arity = Math.max(metadata.arity, value.length);
  return metadata;
}

/** Marks a class as a saga. */
export function markSaga(sagaClass: object, options: SagaOptions): void {
  define(sagaClass, SAGA, options);
}

/** The options of the class's own `@Saga`; inherited ones do not count. */
export function sagaOptionsOf(sagaClass: object): SagaOptions | undefined {
  return own<SagaOptions>(sagaClass, SAGA);
}

/** Whether the class itself, and not a base of it, has `@Saga`. */
export function isSagaClass(value: unknown): boolean {
  return typeof value === 'function' && sagaOptionsOf(value) !== undefined;
}

/**
 * All decorated methods of a class and its bases. Decorators of a subclass replace the inherited ones.
 */
export function methodsOf(sagaClass: object): ReadonlyMap<string, MethodMetadata> {
  const chain: Methods[] = [];
  let current: unknown = sagaClass;
  while (typeof current === 'function') {
    const methods = own<Methods>(current, METHODS);
    if (methods !== undefined) chain.unshift(methods);
    current = Object.getPrototypeOf(current);
  }
  return new Map(chain.flatMap((methods) => [...methods]));
}
