export { historyData } from './entry-data.js';
export {
  POSITION_LOOK,
  positionOf,
  type SagaPosition,
  type TaskPosition,
  type WaitsFor,
} from './saga-position.js';
export type { SagaReason } from './saga-reason.js';
