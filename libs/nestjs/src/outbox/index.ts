export { NoDataSourceError } from './absent-manager.js';
export { InvalidHeaderError, InvalidPublishError } from './errors.js';
export type { MessageOptions } from './message-draft.js';
export { withHeaders } from './message-headers.js';
export { Outbox, type PublishOptions } from './outbox.js';
export { Relays } from './relays.js';
export { recordMessage } from './record-message.js';
export {
  currentTraceId,
  loadTracing,
  traceHeaders,
  traceIdOf,
  withTraceOf,
} from './trace-context.js';
export { traceRequests } from './trace-requests.js';
