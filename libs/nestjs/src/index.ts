// Putting it together
export { SagazModule } from './module/index.js';
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
  RawTransactionControlError,
  SagazTypeOrmAdapter,
  TransactionEndedError,
  TransactionHostError,
  UnknownDataSourceError,
  UnsavedEntityMessagesError,
  type SagazTransactionOptions,
} from './enlist/index.js';

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

// Handling
export {
  connectSagaz,
  DuplicateHandlerError,
  HandlerSetupError,
  IdempotentHandler,
  MessageContext,
  NotDeliveredError,
  SagazServer,
  UnknownCommandError,
  type HandlerOptions,
} from './handlers/index.js';

// Operating
export { sagazLogFields } from './logging/index.js';
