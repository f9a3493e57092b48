export type * from './saga-definition.js';
export { buildSagaDefinition } from './build-saga-definition.js';
export { committedSteps, compensationOrder, type CompensationOrder } from './compensation-order.js';
export { Compensate, ForwardRecovery, Saga, SagaStep } from './decorators.js';
export { UnknownStepError, dryRun, type DryRun, type DryRunOptions } from './dry-run.js';
export {
  InvalidSagaDefinitionError,
  type DefinitionProblem,
} from './invalid-saga-definition.error.js';
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
export { sagaDiagram } from './saga-diagram.js';
export {
  SagaOf,
  type AnySaga,
  type SagaInputOf,
  type SagaOutputOf,
  type StepOutput,
} from './saga-of.js';
export type { StepNames } from './step-context.js';
export { DuplicateSagaError, SagaRegistry, UnknownSagaError } from './saga-registry.js';
