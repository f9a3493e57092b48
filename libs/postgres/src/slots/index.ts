export { inLanes, LANES, UNROUTED_LANE } from './lanes.js';
export { bytes, messageArrays, messageValues, slotsOf } from './message-arrays.js';
export { PgSlotQueue } from './pg-slot-queue.js';
export {
  BYTE_COLUMNS,
  headersOf,
  queuedMessage,
  type MessageRow,
  type SlotNames,
} from './slot-table.js';
export type { MailInsert } from './slot-changes.js';
