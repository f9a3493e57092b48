export { withoutCommands } from './without-commands.js';
export { connectSagaz } from './connect-sagaz.js';
export { Consumers } from './consumers.js';
export { isTimeLimit, TIME_LIMIT_REMEDY, timeLimitOf } from './time-limit.js';
export { assertInnermost } from './declared-handlers.js';
export {
  DuplicateHandlerError,
  HandlerSetupError,
  CommandInHandlerError,
  NotDeliveredError,
  UnknownCommandError,
} from './errors.js';
export { HANDLER_METADATA, type HandlerOptions } from './handler-metadata.js';
export {
  HandlerObservers,
  type ForeignEvent,
  type ForeignOutcome,
  type HandlerObserver,
} from './handler-observers.js';
export { HandlerSet } from './handler-set.js';
export { IdempotentHandler } from './idempotent-handler.decorator.js';
export { MessageContext } from './message-context.js';
export { SagazServer } from './sagaz-server.js';
export { inHandlerTransaction, TransactionManager } from './transaction-manager.decorator.js';
