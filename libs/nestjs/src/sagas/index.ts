export { Engines } from './engines.js';
export {
  InvalidSagaFilterError,
  InvalidStartError,
  SagaConnectionError,
  SagaScopeError,
} from './errors.js';
export { Replies } from './replies.js';
export { SagaSet } from './saga-set.js';
export { Sagas, type FindSagasOptions, type StartSagaOptions } from './sagas.js';
export type { SagaHistoryEntry, SagaView } from './saga-view.js';
