import { FACT_KINDS, type EngineFact, type FactKind, type FactOf } from './engine-fact.js';

/**
 * Is told facts, one at a time and in their order. The engine waits for the call, so it must return soon;
 * a promise that it returns is not waited for. An error, thrown or rejected with, is logged and has no
 * other effect.
 */
export interface FactListener {
  (fact: EngineFact): unknown;
  /** The kinds of facts that it is told. Default: all. A fact that no listener takes is not even made. */
  readonly kinds?: readonly FactKind[];
}

/** A function for each kind of fact that is of interest. */
export type FactHandlers = { readonly [Kind in FactKind]?: (fact: FactOf<Kind>) => unknown };

/** Makes a listener that is told the kinds of facts for which there is a function, each by its function. */
export function factHandlers(handlers: FactHandlers): FactListener {
  const listener = (fact: EngineFact): unknown => handle(handlers, fact.kind, fact);
  return Object.assign(listener, {
    kinds: FACT_KINDS.filter((kind) => handlers[kind] !== undefined),
  });
}

function handle<Kind extends FactKind>(
  handlers: FactHandlers,
  kind: Kind,
  fact: FactOf<Kind>,
): unknown {
  return handlers[kind]?.(fact);
}
