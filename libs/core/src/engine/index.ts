// For starting and following sagas.
export { SagaEngine } from './saga-engine.js';
export {
  DEFAULT_ENGINE_SETTINGS,
  type EngineSettings,
  type EngineStore,
  type SagaEngineOptions,
} from './engine-options.js';
export type { StartOptions } from './saga-starter.js';
export type { OperatorAnswer } from './operator-requests.js';
export { UnservedSagasWatch, type UnservedSagasWatchOptions } from './unserved/index.js';
export {
  SagaHandle,
  type SagaFailure,
  type SagaOutcome,
  type WaitOptions,
} from './handle/index.js';
export {
  UnreadableJournalError,
  type AttentionReason,
  type IgnoredReply,
  type Failure,
  type Role,
} from './journal/index.js';
export {
  CommandWithoutBrokerError,
  EngineClosedError,
  IdempotencyConflictError,
  InvalidEngineSettingError,
  LeaseLostError,
  SagaEndedError,
  SagaFailedError,
  SagaNotCommittedError,
  SagaNotFoundError,
  SagaWaitEndedError,
  SagaWaitTimeoutError,
  StartQueueFullError,
  StepAbortedError,
  TooManySagaWaitsError,
  UnreturnedCommandError,
  UnsendableCommandError,
  UnstorableResultError,
} from './errors.js';

// For watching the engine.
export {
  factHandlers,
  FactStream,
  FACT_KINDS,
  type AroundAttempt,
  type AttemptFacts,
  type AttemptOutcome,
  type EngineFact,
  type FactFields,
  type FactHandlers,
  type FactKind,
  type FactListener,
  type FactOf,
  type SagaFacts,
  type TaskFacts,
} from './facts/index.js';

// For integrating the engine with a framework.
export {
  abandonedWith,
  storeTransactions,
  type StepTransactions,
  type TransactionPlace,
} from './step-transactions.js';
export {
  MalformedReplyError,
  controlMail,
  replyMail,
  undeliveredMail,
  untrustedMail,
  replyTopicOf,
  type OperatorRequest,
} from './decide/index.js';
export {
  historyData,
  POSITION_LOOK,
  positionOf,
  type SagaPosition,
  type SagaReason,
  type TaskPosition,
  type WaitsFor,
} from './position/index.js';
