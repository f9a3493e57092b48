// Putting it together
export { SagazModule, VersionMismatchError } from './module/index.js';
export {
  ENVIRONMENT,
  InvalidOptionsError,
  type DataSourceOptions,
  type EngineOptions,
  type InboxOptions,
  type OptionProblem,
  type RelayOptions,
  type RoleOptions,
  type SagazModuleExtras,
  type SagazOptions,
} from './options/index.js';

// Transactions
export {
  AmbiguousTransactionError,
  NoTransactionError,
  OutsideTransactionError,
  InvalidPoolSizeError,
  PoolTooSmallError,
  RawTransactionControlError,
  SagazTypeOrmAdapter,
  StoreElsewhereError,
  TransactionEndedError,
  TransactionHostError,
  TwoPhaseCommitError,
  UnfinishedSavepointError,
  UnknownDataSourceError,
  UnsavedEntityMessagesError,
  type SagazTransactionOptions,
} from './enlist/index.js';

// What sagas and messages are
export {
  Compensate,
  ForwardRecovery,
  IdempotencyConflictError,
  IdempotencyKey,
  InvalidArgumentError,
  NonRetryableError,
  ResultIfAny,
  Saga,
  SagaEndedError,
  SagaFailedError,
  SagaInput,
  SagaNotCommittedError,
  SagaNotFoundError,
  SagaOf,
  SagaRefusal,
  SagaStep,
  SagaWaitEndedError,
  SagaWaitTimeoutError,
  StepContext,
  StepResult,
  UnknownSagaError,
  command,
  defineCommand,
  defineEvent,
  isSagaRefusal,
  type CommandContract,
  type EventContract,
  type OperatorAnswer,
  type PayloadOf,
  type ReplyOf,
  type SagaHandle,
  type SagaOutcome,
  type SagaPosition,
  type TaskPosition,
  type WaitsFor,
} from '@sagaz/core';

// Starting sagas
export {
  InvalidSagaFilterError,
  InvalidStartError,
  SagaConnectionError,
  SagaScopeError,
  Sagas,
  type FindSagasOptions,
  type SagaHistoryEntry,
  type SagaView,
  type StartSagaOptions,
} from './sagas/index.js';

// Publishing
export {
  InvalidHeaderError,
  InvalidPublishError,
  NoDataSourceError,
  Outbox,
  recordMessage,
  type MessageOptions,
  type PublishOptions,
} from './outbox/index.js';

// Watching
export { WorkObservers, type WorkObserver } from './lifecycle/index.js';

// Handling
export {
  connectSagaz,
  DuplicateHandlerError,
  HandlerObservers,
  HandlerSetupError,
  IdempotentHandler,
  MessageContext,
  NotDeliveredError,
  SagazServer,
  TransactionManager,
  UnknownCommandError,
  type ForeignEvent,
  type HandlerObserver,
  type HandlerOptions,
} from './handlers/index.js';

// Handling on Nest's own transports
export {
  Idempotent,
  IdempotentSetupError,
  MissingMessageIdError,
  type ForeignMessage,
  type IdempotentOptions,
} from './transports/index.js';

// Answering over HTTP
export { SagazExceptionFilter } from './http/index.js';

// Operating
export {
  DeadLetters,
  type DeadLetter,
  type DeadLetterRef,
  type ListDeadLettersOptions,
} from './dead-letters/index.js';
export { sagazLogFields } from './logging/index.js';
export { traceRequests } from './outbox/index.js';
