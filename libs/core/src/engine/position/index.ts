export {
  historyData,
  POSITION_ENTRIES,
  positionOf,
  type SagaPosition,
  type TaskPosition,
  type WaitsFor,
} from './saga-position.js';
