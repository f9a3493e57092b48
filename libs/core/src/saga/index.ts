export * from './saga-definition.js';
export { buildSagaDefinition } from './build-saga-definition.js';
export { Compensate, ForwardRecovery, Saga, SagaStep } from './decorators.js';
export { InvalidSagaDefinitionError, type DefinitionProblem } from './invalid-saga-definition.error.js';
export { isSagaClass } from './metadata.js';
export type { CompensationOptions, SagaOptions, StepOptions } from './options.js';
export {
  IdempotencyKey,
  ResultIfAny,
  SagaInput,
  StepContext,
  StepResult,
  TransactionManager,
} from './parameter-decorators.js';
export {
  StepResultMissingError,
  resolveArguments,
  type ArgumentValues,
} from './resolve-arguments.js';
export {
  SagaOf,
  type AnySaga,
  type SagaInputOf,
  type SagaOutputOf,
  type StepOutput,
} from './saga-of.js';
export type { StepNames } from './step-context.js';
