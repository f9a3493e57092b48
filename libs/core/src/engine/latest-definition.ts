import { UnknownSagaError, type SagaClass, type SagaDefinition } from '../saga/index.js';

/** The newest version that this engine knows of a saga. @throws UnknownSagaError */
export function latestDefinition(
  definitions: readonly SagaDefinition[],
  saga: SagaClass | SagaDefinition,
): SagaDefinition {
  if (typeof saga !== 'function') return saga;
  const all = definitions.filter((one) => one.sagaClass === saga);
  const latest = all.reduce<SagaDefinition | undefined>(
    (best, one) => (best === undefined || one.version > best.version ? one : best),
    undefined,
  );
  if (latest === undefined) throw new UnknownSagaError(saga.name);
  return latest;
}
