export { connectSagaz } from './connect-sagaz.js';
export { Consumers } from './consumers.js';
export {
  DuplicateHandlerError,
  HandlerSetupError,
  NotDeliveredError,
  UnknownCommandError,
} from './errors.js';
export type { HandlerOptions } from './handler-metadata.js';
export { HandlerObservers } from './handler-observers.js';
export { HandlerSet } from './handler-set.js';
export { IdempotentHandler } from './idempotent-handler.decorator.js';
export { InboxInterceptor } from './inbox.interceptor.js';
export { MessageContext } from './message-context.js';
export { SagazServer } from './sagaz-server.js';
export { TransactionManager } from './transaction-manager.decorator.js';
